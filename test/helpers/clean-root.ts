import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findArchive } from '../../lifecycle/stacks/machine.ts'

// A freshly installed Debian with an ordinary user: a separate root file system, in which programs run as on a machine.

const run = promisify(execFile)

/** Makes `file`, a tar of Debian 13 with these packages, from this machine's mirror. Takes half a minute. */
export async function makeCleanRoot(packages: readonly string[], dir: string): Promise<string> {
  const archive = await findArchive({ suite: 'trixie', components: ['main'], environment: process.env })
  const file = join(dir, 'clean-root.tar')
  writeFileSync(join(dir, 'clean.sources'), archive.sources ?? '')
  writeFileSync(join(dir, 'clean.conf'), `${archive.settings.join('\n')}\n`)
  const options = [
    '--variant=minbase',
    `--include=${packages.join(',')}`,
    '--dpkgopt=force-unsafe-io',
    `--setup-hook=cp ${join(dir, 'clean.conf')} "$1/etc/apt/apt.conf.d/99machine"`,
    '--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash dev',
  ]
  await run('mmdebstrap', [...options, 'trixie', file, ...(archive.sources ? [join(dir, 'clean.sources')] : [])], {
    maxBuffer: 1 << 26,
  })
  return file
}

export interface CleanRoot {
  readonly path: string
  /** Runs a command as root inside the file system, such as apt and dpkg. */
  asRoot(...argv: string[]): Promise<string>
  /** Runs a script as the user `dev` in its home, in namespaces in which the file system is the machine's. */
  asUser(script: string): Promise<{ readonly stdout: string; readonly output: string }>
}

/**
 * Unpacks it into an empty directory. What this machine needs for its network (resolver, certificates) is in it.
 * @param data a directory of the user `dev`: where Bale keeps stacks and images
 */
export async function openCleanRoot(tar: string, path: string, data: string): Promise<CleanRoot> {
  chmodSync(path, 0o755)
  await run('tar', ['-xpf', tar, '-C', path, '--numeric-owner'])
  const bundle = '/etc/ssl/certs/ca-certificates.crt'
  for (const file of ['/etc/resolv.conf', '/etc/hosts', bundle]) {
    if (existsSync(file)) copyFileSync(file, join(path, file))
  }
  const shared = join(path, 'home/dev/.local/share/bale')
  mkdirSync(join(path, '.host'))
  await run('chroot', [
    path,
    'setpriv',
    '--reuid=1000',
    '--regid=1000',
    '--clear-groups',
    'mkdir',
    '-p',
    shared.slice(path.length),
  ])
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no|all)_proxy$/i.test(name))
  const env = [
    ...proxies.map(([name, value]) => `${name}=${value}`),
    `NODE_EXTRA_CA_CERTS=${bundle}`,
    'HOME=/home/dev',
    'LANG=C.UTF-8',
    'PATH=/usr/local/bin:/usr/bin:/bin',
  ]
  // chroot(2) alone is not enough: the kernel does not allow user namespaces inside a chroot (user_namespaces(7)).
  const enter = `
mount --bind "$1" "$1"
mount --bind "$2" "$3"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
cd "$1"
pivot_root . .host
umount -l /.host
cd /home/dev
shift 3
exec setpriv --reuid=dev --regid=dev --init-groups -- "$@"`
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-ec', enter, 'sh']
  return {
    path,
    asRoot: async (...argv) => (await run('chroot', [path, ...argv])).stdout,
    async asUser(script) {
      const argv = [...namespaces, path, data, shared, 'env', '-i', ...env, 'bash', '-c', script]
      const { stdout, stderr } = await run('unshare', argv, { timeout: 300_000, maxBuffer: 1 << 26 })
      return { stdout, output: stdout + stderr }
    },
  }
}
