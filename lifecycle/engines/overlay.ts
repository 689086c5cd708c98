import { chmod, copyFile, mkdir, mkdtemp, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { linkAt, inspectMountPoint } from './root.ts'
import type { Wrapper } from './sandbox.ts'

/** A writable root over an image that stays as it is; disposal drops what was written. */
export interface OverlayRoot extends AsyncDisposable {
  /** Where it is mounted once `wrapper` has run. */
  readonly path: string
  /** For SandboxOptions: makes namespaces to mount in, mounts, and becomes the rest of its arguments. */
  readonly wrapper: Wrapper
}

// Names relative to the working directory: a path may hold commas and colons, which mean something to mount(8).
// userxattr: without it only the machine's root may use overlayfs. volatile: nothing here has to survive a power cut,
// and the end would wait until the whole file system is written to the disk. An overlay cannot have its upper layer on
// another overlay, as in a container: then that is in memory, where before Linux 6.6 a directory of the image that was
// removed cannot be made again.
const mountOverlay = `
  overlay() { mount -t overlay overlay -o "lowerdir=lower,upperdir=$1upper,workdir=$1work,userxattr,volatile" root; }
  overlay '' ||
    { mount -t tmpfs tmpfs memory && cp -a upper memory/upper && mkdir memory/work && overlay memory/; } ||
    exit
  exec "$@" 2>&9 9>&-`
/** What goes wrong before bubblewrap is started is not for the user, since there is another way then. */
const quietly = 'exec 9>&2 2>/dev/null'
const ownNamespaces = ['unshare', '--user', '--map-root-user', '--mount', '--']

/**
 * An overlay on `rootfs` in a user namespace, which needs Linux 5.11, unshare(1) and mount(8); bubblewrap itself makes
 * them since 0.11 only. It has the host's resolv.conf and hosts, since the program is in the host's network.
 */
export async function openOverlay(rootfs: string, tmpDir: string): Promise<OverlayRoot> {
  for (const name of ['dev', 'proc', 'etc']) {
    if ((await inspectMountPoint(rootfs, [name])) === 'link') throw linkAt(join(rootfs, name))
  }
  const dir = await mkdtemp(join(tmpDir, 'run-'))
  try {
    await Promise.all(['upper', 'work', 'memory', 'root'].map(name => mkdir(join(dir, name))))
    await symlink(rootfs, join(dir, 'lower'))
    await addHostFiles(rootfs, join(dir, 'upper'))
  } catch (error) {
    await removeTree(dir)
    throw error
  }
  return {
    path: join(dir, 'root'),
    wrapper: { before: quietly, argv: [...ownNamespaces, 'sh', '-c', mountOverlay, 'sh'], cwd: dir },
    [Symbol.asyncDispose]: () => removeTree(dir),
  }
}

async function addHostFiles(rootfs: string, upper: string): Promise<void> {
  await mkdir(join(upper, 'etc'))
  for (const path of ['etc/resolv.conf', 'etc/hosts']) {
    await copyFile(`/${path}`, join(upper, path)).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error
    })
  }
  // The upper layer's modes are those that are seen. They come last: they may forbid us to write, as Fedora's root does.
  for (const path of ['etc', '.']) {
    const covered = await stat(join(rootfs, path)).catch(() => undefined)
    if (covered !== undefined) await chmod(join(upper, path), covered.mode & 0o7777)
  }
}
