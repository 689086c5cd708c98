import { chmod, chown, cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from './temporary.ts'
import { writeTree } from './tree.ts'

/** Root may read everything: runs a function as an ordinary user where tests run as root. */
export async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return await run()
  process.seteuid?.(65_534)
  try {
    return await run()
  } finally {
    process.seteuid?.(0)
  }
}

/** Starts a program as an ordinary user of this machine, with these lines in /etc/subuid and /etc/subgid. */
export async function userWithIds(subordinate: string): Promise<readonly string[]> {
  const dir = await temporaryDirectory()
  await chmod(dir, 0o755)
  await writeFile(join(dir, 'ids'), subordinate)
  await cp('/etc/passwd', join(dir, 'passwd'))
  await writeFile(join(dir, 'passwd'), `baletest:x:54321:54322::${dir}/home:/bin/sh\n`, { flag: 'a' })
  await writeTree(dir, { 'home/.config/keep': '' })
  for (const path of ['home', 'home/.config', 'home/.config/keep']) await chown(join(dir, path), 54_321, 54_322)
  const script = `touch /etc/subuid /etc/subgid; for file in subuid subgid; do mount --bind "$1/ids" /etc/$file || exit; done
mount --bind "$1/passwd" /etc/passwd || exit
home=$1/home; shift
exec setpriv --reuid 54321 --regid 54322 --clear-groups env -u XDG_CACHE_HOME -u XDG_DATA_HOME -u XDG_CONFIG_HOME HOME="$home" TMPDIR=/tmp "$@"`
  return ['unshare', '--mount', '--', 'sh', '-c', script, 'sh', dir]
}
