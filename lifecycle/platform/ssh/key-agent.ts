import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaleError, isErrno } from '../../errors.ts'
import { errnoMessage } from '../../files/wrap-errno.ts'
import { exitOf, launch, systemPath } from '../../processes/launch.ts'
import { countKeys } from './agent-relay.ts'
import { shortPathOf } from './short-path.ts'

/** The agent ends with its standard input, so also if this process is killed: it holds keys. */
const untilEndOfInput = `
exec 3<&0
{ cat <&3; kill $$; } >/dev/null 2>&1 &
exec ssh-agent -D -a agent 3<&-`

/** An agent of this build alone. */
export interface KeyAgent extends AsyncDisposable {
  /** The path of its socket for this process. */
  readonly socket: string
}

/**
 * Starts an agent with keys from files. Their modes do not matter: CI systems write keys that everybody can read.
 * @param dir an existing directory that only this user can enter
 * @throws BaleError 'arguments' for a file that holds no usable key, 'engine' if OpenSSH's programs are missing
 */
export async function startKeyAgent(dir: string, files: readonly string[]): Promise<KeyAgent> {
  const keys = await Promise.all(files.map(readKey))
  await using resources = new AsyncDisposableStack()
  const within = resources.use(await shortPathOf(dir))
  const child = launch({
    argv: ['sh', '-c', untilEndOfInput],
    cwd: dir,
    env: { PATH: systemPath },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const ended = exitOf(child)
  resources.defer(async () => {
    child.stdin?.end()
    await ended
  })
  const error = textOf(child.stderr as Readable)
  const socket = `${within.path}/agent`
  await answers(socket, () => child.exitCode === null).catch(async () => {
    child.stdin?.end()
    throw notStarted(await error)
  })
  for (const [n, key] of keys.entries()) await addKey(dir, key, files[n] ?? '')
  const opened = resources.move()
  return { socket, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Milliseconds until an agent answers. */
const patience = 10_000

/** Asks the agent until it answers. What it prints is no sign: older ones keep it in a buffer. @throws BaleError if it does not answer */
async function answers(socket: string, isAlive: () => boolean): Promise<void> {
  for (const deadline = performance.now() + patience; ; await sleep(20)) {
    try {
      await countKeys(socket)
      return
    } catch (error) {
      if (!isAlive() || performance.now() > deadline) throw error
    }
  }
}

/** CI systems give keys as text, whose lines may have other ends than OpenSSH reads. */
async function readKey(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new BaleError('arguments', `the SSH key cannot be read: ${errnoMessage(cause)}`, { where: file, cause })
  })
  return `${text.replaceAll('\r\n', '\n').trimEnd()}\n`
}

async function addKey(dir: string, key: string, where: string): Promise<void> {
  const child = spawn('ssh-add', ['-q', '-'], {
    // In a session of its own, ssh-add finds no terminal to ask for a passphrase.
    detached: true,
    cwd: dir,
    env: { PATH: systemPath, SSH_AUTH_SOCK: 'agent', SSH_ASKPASS_REQUIRE: 'never' },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const stdin = child.stdin
  stdin.on('error', () => {}) // ssh-add has ended, and says why
  stdin.end(key)
  const said = textOf(child.stderr)
  const [code] = (await once(child, 'close').catch((cause: unknown) => {
    throw isErrno(cause, 'ENOENT') ? notStarted('ssh-add is missing') : cause
  })) as [number | null]
  if (code === 0) return
  const passphrase = /passphrase/i.test(await said)
  throw new BaleError('arguments', passphrase ? 'the SSH key has a passphrase' : 'this is not a private SSH key', {
    where,
    fix: passphrase
      ? 'add the key to your agent (ssh-add FILE), and use --ssh default; or use a key without a passphrase'
      : 'give the file of a private key, as ssh-keygen writes it: not the .pub file',
  })
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk as string
  return text
}

const notStarted = (said: string): BaleError =>
  new BaleError('engine', `the SSH agent cannot be started: ${said.trim().split('\n').at(-1) ?? ''}`, {
    where: '--ssh',
    fix: 'install OpenSSH (apt-get install openssh-client), or use the agent that runs: --ssh default',
  })
