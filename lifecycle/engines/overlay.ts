import { execFile } from 'node:child_process'
import { chmod, copyFile, lstat, mkdir, mkdtemp, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BaleError, isErrno } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { linkAt, inspectMountPoint } from './root.ts'
import { systemPath } from '../processes/launch.ts'
import type { Places } from './places.ts'
import { keptFd } from './sandbox.ts'
import { type SubordinateIds, mappedNamespaces, removeMapped } from './subordinate.ts'
import type { Wrapper } from './wrapper.ts'

/** A writable root over an unchanged image; disposal discards all writes. */
export interface OverlayRoot extends AsyncDisposable {
  /** The mount point, once `wrapper` has run. */
  readonly path: string
  /** For SandboxOptions: makes namespaces to mount in, mounts, and executes the rest of its arguments. */
  readonly wrapper: Wrapper
}

// Names are relative to the working directory: a path may contain commas and colons, which are special for mount(8).
// userxattr: without it only the machine's root may use overlayfs. volatile: nothing here must survive a power cut,
// and unmounting would otherwise write the whole file system to the disk. An overlay cannot have its upper layer on
// another overlay, as in a container: then the upper layer is in memory. Before Linux 6.6, a directory of the image that was
// removed cannot be made again there.
const mountOverlay = `
  overlay() { mount -t overlay overlay -o "lowerdir=lower,upperdir=$1upper,workdir=$1work,userxattr,volatile" root; }
  overlay '' ||
    { mount -t tmpfs tmpfs memory && cp -a upper memory/upper && mkdir memory/work && overlay memory/; } ||
    exit
  exec "$@" 2>&${keptFd} ${keptFd}>&-`
/** Hides errors before bubblewrap starts from the user, since Bale then falls back to another way. */
const quietly = `exec ${keptFd}>&2 2>/dev/null`
/** Runs the rest of its arguments in namespaces where an ordinary user may mount. */
export const ownNamespaces: readonly string[] = ['unshare', '--user', '--map-root-user', '--mount', '--']

/**
 * An overlay on `rootfs` in a user namespace, which needs Linux 5.11, unshare(1) and mount(8); bubblewrap itself supports
 * overlays only since 0.11. It has the host's resolv.conf and hosts, since the program is in the host's network.
 */
export async function openOverlay(rootfs: string, tmpDir: string, places?: Places): Promise<OverlayRoot> {
  for (const name of ['dev', 'proc', 'etc']) {
    if ((await inspectMountPoint(rootfs, [name])) === 'link') throw linkAt(join(rootfs, name))
  }
  const dir = await mkdtemp(join(tmpDir, 'run-'))
  try {
    await Promise.all(['upper', 'work', 'memory', 'root'].map(name => mkdir(join(dir, name))))
    await symlink(places?.open(rootfs) ?? rootfs, join(dir, 'lower'))
    await addHostFiles(rootfs, join(dir, 'upper'))
  } catch (error) {
    await removeTree(dir)
    throw error
  }
  const place = places?.open(dir)
  return {
    path: join(place ?? dir, 'root'),
    wrapper: { before: quietly, argv: [...ownNamespaces, 'sh', '-c', mountOverlay, 'sh'], cwd: dir, place },
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
  // The upper layer's modes are visible inside. They are set last, since they may forbid writing, as for Fedora's root.
  for (const path of ['etc', '.']) {
    const covered = await stat(join(rootfs, path)).catch(() => undefined)
    if (covered !== undefined) await chmod(join(upper, path), covered.mode & 0o7777)
  }
}

// Uses the old system call: the new one limits a list of lower directories to 256 characters.
const mountLayers = `
  LIBMOUNT_FORCE_MOUNT2=always mount -t overlay overlay -o "lowerdir=$1,userxattr" root || exit
  shift
  exec "$@"`
/**
 * The upper layer is on the disk: installed packages may not fit into memory. A volatile overlay leaves a mark that it cannot be mounted
 * again; here a probe may have mounted it (see openAs).
 */
const mountWritable = `rm -rf work/work
  ${mountLayers.replace('userxattr', 'upperdir=upper,workdir=work,userxattr,volatile')}`

/** A path in the sandbox that is mounted on. */
export interface MountPoint {
  readonly path: string
  readonly kind: 'directory' | 'file'
}

/**
 * The layers of an image as one root: overlaid directories. It is read-only unless `ids` are given for a namespace with many ids, whose
 * processes may then write; disposal discards all writes. The topmost
 * layer is Bale's, and has only the mount points: no mount point leads through a link of the image (X19).
 * @param layers absolute paths, the lowest first
 * @throws BaleError 'engine' if a parent directory of a mount point is a link
 */
export async function openLayers(
  layers: readonly string[],
  points: readonly MountPoint[],
  tmpDir: string,
  places?: Places,
  ids?: SubordinateIds,
): Promise<OverlayRoot> {
  const dir = await mkdtemp(join(tmpDir, 'run-'))
  try {
    for (const name of ['root', ...(ids === undefined ? [] : ['upper', 'work'])]) await mkdir(join(dir, name))
    if (ids !== undefined) await chmod(join(dir, 'upper'), 0o755)
    await makePoints(layers, points, join(dir, 'points'))
    await Promise.all(layers.map((layer, n) => symlink(places?.open(layer) ?? layer, join(dir, String(n)))))
  } catch (error) {
    await removeTree(dir)
    throw error
  }
  const place = places?.open(dir)
  const lower = ['points', ...layers.map((_layer, n) => String(n)).reverse()].join(':')
  return {
    path: join(place ?? dir, 'root'),
    wrapper: {
      before: ':',
      argv:
        ids === undefined
          ? [...ownNamespaces, 'sh', '-c', mountLayers, 'sh', lower]
          : [...mappedNamespaces, 'sh', '-c', mountWritable, 'sh', lower],
      cwd: dir,
      place,
    },
    async [Symbol.asyncDispose]() {
      if (ids !== undefined) removeMapped(ids, [dir])
      await removeTree(dir)
    },
  }
}

async function makePoints(layers: readonly string[], points: readonly MountPoint[], top: string): Promise<void> {
  await mkdir(top)
  await chmod(top, 0o755)
  for (const { path, kind } of points) {
    const parts = path.slice(1).split('/')
    for (let n = 1; n < parts.length; n++) await makeParent(layers, parts.slice(0, n), top)
    const own = join(top, path)
    if (kind === 'file') await writeFile(own, '')
    else await mkdir(own, { recursive: true })
    await chmod(own, kind === 'file' ? 0o644 : 0o755)
  }
}

/** Makes a parent directory of a mount point, with its mode in the image if it exists there. */
async function makeParent(layers: readonly string[], parts: readonly string[], top: string): Promise<void> {
  const own = join(top, ...parts)
  if ((await lstat(own).catch(() => undefined)) !== undefined) return
  await mkdir(own)
  await chmod(own, 0o755)
  for (const layer of layers.toReversed()) {
    const path = join(layer, ...parts)
    const found = await lstat(path).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    })
    if (found === undefined) continue
    if (found.isSymbolicLink()) throw linkAt(path)
    if (found.isDirectory()) await chmod(own, found.mode & 0o777)
    return
  }
}

/** Returns whether ordinary users of this machine can overlay directories: Linux 5.11, and user namespaces. */
export async function canLayer(tmpDir: string): Promise<boolean> {
  const layer = await mkdtemp(join(tmpDir, 'run-'))
  try {
    await using probe = await openLayers([layer], [], tmpDir)
    const [program = '', ...args] = [...probe.wrapper.argv, 'true']
    await promisify(execFile)(program, args, { cwd: probe.wrapper.cwd, env: { PATH: systemPath } })
    return true
  } catch (error) {
    if (error instanceof BaleError) throw error
    return false
  } finally {
    await removeTree(layer)
  }
}
