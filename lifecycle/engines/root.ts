import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'

/**
 * bubblewrap's options that mount the directory `rootfs` at `/`, read-only, with a mount point at each
 * of `points`. A directory without a needed mount point is rebuilt from mounts of all its entries: nothing is ever made
 * in `rootfs` itself, which other sandboxes use too. `/` and such directories are writable until `--remount-ro /`.
 * @param points absolute paths
 * @param source bubblewrap's name for `rootfs`
 */
export async function layOutRoot(rootfs: string, points: readonly string[], source = rootfs): Promise<string[]> {
  const paths = points.map(point => point.slice(1).split('/'))
  return await layOut(rootfs, '', paths, inside => `${source}${inside}`)
}

type Path = readonly string[]

/** `points` are relative to `dir`, which is at `path` inside. `sourceOf` returns bubblewrap's name for a path. */
async function layOut(
  dir: string,
  path: string,
  points: readonly Path[],
  sourceOf: (inside: string) => string,
): Promise<string[]> {
  const options: string[] = []
  const entries = await readdir(dir, { withFileTypes: true }).catch((cause: unknown) => {
    throw new BaleError('engine', 'the root file system cannot be read', { where: dir, cause })
  })
  for (const entry of entries) {
    const source = join(dir, entry.name)
    const inside = `${path}/${entry.name}`
    // bubblewrap makes the mount point, also in the place of a link.
    if (points.some(point => point.length === 1 && point[0] === entry.name)) continue
    const below = points.filter(point => point[0] === entry.name).map(point => point.slice(1))
    if (entry.isSymbolicLink()) {
      if (below.length > 0) throw linkAt(source)
      options.push('--symlink', await readlink(source), inside)
    } else if (entry.isDirectory()) {
      const found = await Promise.all(below.map(point => inspectMountPoint(source, point)))
      if (found.every(what => what === 'present')) options.push('--ro-bind', sourceOf(inside), inside)
      else options.push('--dir', inside, ...(await layOut(source, inside, below, sourceOf)))
    } else if (entry.isFile()) {
      options.push('--ro-bind', sourceOf(inside), inside)
    }
  }
  return options
}

/**
 * Returns the state of a mount point. A link in its path is an error: bubblewrap would follow it, at a time
 * when it still sees the host's files (X19).
 */
export async function inspectMountPoint(dir: string, point: Path): Promise<'present' | 'missing' | 'link'> {
  let path = dir
  for (const [n, name] of point.entries()) {
    path = join(path, name)
    const stat = await lstat(path).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    })
    if (stat === undefined) return 'missing'
    if (!stat.isSymbolicLink()) continue
    if (n === point.length - 1) return 'link'
    throw linkAt(path)
  }
  return 'present'
}

export function linkAt(path: string): BaleError {
  return new BaleError('engine', 'a symbolic link is in the place of a directory of the sandbox', {
    where: path,
    fix: 'use an image without it',
  })
}
