import { execFile, execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Emulator, registerCommands } from '../../lifecycle/processes/emulation.ts'
import { inOwnUsers } from '../../lifecycle/stacks/own-users.ts'

/** Podman as an ordinary user has it. */
export interface RootlessPodman {
  /** The user's id, and the id of the group. */
  readonly uid: number
  /** A command line, whose further words are Podman's. */
  readonly argv: readonly [string, ...string[]]
  close(): Promise<void>
}

const run = promisify(execFile)
const uid = 54_400

/**
 * Started by root. The user has an account and ids of their own (subuid(5)) in mount namespaces that the command line makes:
 * the machine is not changed.
 * @param emulator is registered in a user namespace of the command line, for images of its architecture
 */
export async function rootlessPodman(emulator?: Emulator): Promise<RootlessPodman> {
  const dir = await mkdtemp(join(tmpdir(), 'bale-rootless-'))
  await chmod(dir, 0o755)
  const [home, runtime] = [join(dir, 'home'), join(dir, 'run')]
  for (const path of [home, runtime]) {
    await mkdir(path, { mode: 0o700 })
    await chown(path, uid, uid)
  }
  const accounts = {
    passwd: `${await readFile('/etc/passwd', 'utf8')}rootless:x:${uid}:${uid}::${home}:/bin/sh\n`,
    group: `${await readFile('/etc/group', 'utf8')}rootless:x:${uid}:\n`,
    subuid: 'rootless:3000000:65536\n',
    subgid: 'rootless:3000000:65536\n',
  }
  for (const [name, text] of Object.entries(accounts)) await writeFile(join(dir, name), text, { mode: 0o644 })
  const binds = Object.keys(accounts).map(
    name => `{ [ -e /etc/${name} ] || : >/etc/${name}; mount --bind ${dir}/${name} /etc/${name}; }`,
  )
  const environment = [
    `HOME=${home}`,
    `XDG_RUNTIME_DIR=${runtime}`,
    'PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
  ]
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'env', '-i', ...environment]
  const script = `${binds.join(' && ')} && cd / && exec ${user.join(' ')} podman "$@"`
  // Podman chooses vfs otherwise, which copies every layer whole for each layer above it: 12 GB for a builder image.
  const storage = ['--storage-driver', 'overlay']
  const options = [...storage, '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--runtime', 'runc']
  const inNamespace: [string, ...string[]] = ['unshare', '--mount', 'sh', '-c', script, 'sh', ...options]
  const argv = emulator === undefined ? inNamespace : await withEmulator(emulator, join(dir, 'binfmt'), inNamespace)
  return {
    uid,
    argv,
    async close() {
      await run(argv[0], [...argv.slice(1), 'system', 'reset', '--force']).catch(() => {})
      // What keeps its user namespace for the next call.
      execFileSync('sh', ['-c', `pkill -KILL -u ${uid} || true`])
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function withEmulator(
  { registration }: Emulator,
  dir: string,
  argv: readonly [string, ...string[]],
): Promise<[string, ...string[]]> {
  if (registration === undefined) return [...argv]
  await mkdir(dir)
  return [...inOwnUsers, 'sh', '-c', `${registerCommands}; exec "$@"`, 'sh', dir, registration, ...argv] as [
    string,
    ...string[],
  ]
}
