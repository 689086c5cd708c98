import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mount } from '../../engines/engine.ts'
import type { Reporter } from '../../events.ts'
import { readTrusted } from '../../files/read.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { countKeys, relayAgent } from './agent-relay.ts'
import { startKeyAgent } from './key-agent.ts'

/** The keys with which buildpacks may sign in to servers by SSH: those of the agent that listens on a socket, or of files. */
export type SshKeys = { readonly agent: string } | { readonly files: readonly string[] }

/** Access to SSH keys for buildpacks. No key leaves the agent. */
export interface SshForwarding extends AsyncDisposable {
  /** Variables for buildpacks. */
  readonly variables: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  /** Whose agent holds the keys: only a sandbox hides the socket of the user's. */
  readonly agent: 'user' | 'build'
}

export interface SshPlace {
  readonly dir: string
  readonly path: string
  /** Where SSH looks for known hosts by itself, if they can be mounted there. */
  readonly knownHosts?: string | undefined
}

export interface ForwardInput {
  readonly keys: SshKeys
  /** The directory to make for the socket, and its path for buildpacks. */
  readonly place: SshPlace
  /** A directory that only this user can enter, for a temporary agent. */
  readonly tmpDir: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly reporter: Pick<Reporter, 'event'>
  readonly signal?: AbortSignal | undefined
}

/**
 * Gives buildpacks a socket of an agent, until disposed of, and the known hosts of this user and machine.
 * @throws BaleError for an agent or key that cannot be used
 */
export async function forwardSsh({
  keys,
  place,
  tmpDir,
  environment,
  reporter,
  signal,
}: ForwardInput): Promise<SshForwarding> {
  await using resources = new AsyncDisposableStack()
  const agent = 'agent' in keys ? keys.agent : resources.use(await agentOfFiles(keys.files, tmpDir)).socket
  if ('agent' in keys && (await countKeys(agent, signal)) === 0)
    reporter.event({ type: 'warning', text: 'the SSH agent has no keys', fix: 'add one: ssh-add' })

  const hosts = await knownHosts(environment['HOME'])
  if (hosts === '')
    reporter.event({
      type: 'warning',
      text: 'neither ~/.ssh/known_hosts nor /etc/ssh/ssh_known_hosts names a server, so SSH will refuse every server',
      fix: 'add the keys of your servers: ssh-keyscan HOST >> ~/.ssh/known_hosts, and compare them with those that the servers publish',
    })
  await wrapErrno(place.dir, async () => {
    await mkdir(place.dir, { mode: 0o700 })
    await writeFile(join(place.dir, 'known_hosts'), hosts)
  })
  resources.use(await relayAgent(place.dir, socketName, agent))

  const opened = resources.move()
  return {
    variables: {
      SSH_AUTH_SOCK: `${place.path}/${socketName}`,
      // git's own programs read this variable, and so does every package client that calls git.
      GIT_SSH_COMMAND: `ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${place.path}/known_hosts`,
    },
    mounts: [
      { hostPath: place.dir, path: place.path, access: 'read-only' },
      // pip replaces the variable, and scripts call ssh directly.
      ...(place.knownHosts === undefined
        ? []
        : [{ hostPath: join(place.dir, 'known_hosts'), path: place.knownHosts, access: 'read-only' } as const]),
    ],
    agent: 'agent' in keys ? 'user' : 'build',
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const socketName = 'agent'

const agentOfFiles = async (files: readonly string[], tmpDir: string) =>
  startKeyAgent(await wrapErrno(tmpDir, () => mkdtemp(join(tmpDir, 'keys-'))), files)

async function knownHosts(home: string | undefined): Promise<string> {
  const files = [...(home === undefined ? [] : [join(home, '.ssh/known_hosts')]), '/etc/ssh/ssh_known_hosts']
  const texts = await Promise.all(files.map(async file => new TextDecoder().decode(await readTrusted(file))))
  return texts
    .map(text => text.trimEnd())
    .filter(Boolean)
    .map(text => `${text}\n`)
    .join('')
}
