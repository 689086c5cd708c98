import { chmodSync, closeSync, fstatSync, lchownSync, lstatSync } from 'node:fs'
import { isErrno } from '../../errors.ts'
import type { ByteString } from '../../files/byte-string.ts'
import { OpenDirectory } from '../../files/open-directory.ts'
import type { Layer } from '../../image/layer.ts'
import { layerTar } from '../layer-tar.ts'
import { relativeName } from '../tar/names.ts'
import { readTar, type TarEntry } from '../tar/reader.ts'
import { PathCursor } from './cursor.ts'
import type { Owner } from './entries.ts'
import { baseOf, parentOf } from './tree-writer.ts'

// Unpacked images belong to one user, and have no setuid bits. Where programs run as root of a user namespace, the files that belong to
// other users get their owners back.

/** The name of a file with the list of `readOwners`, in JSON. */
export const ownersFile = 'owners.json'

/** The owner and the mode of a path. */
export interface OwnedPath extends Owner {
  readonly path: ByteString
  /** For files and directories with setuid or setgid. */
  readonly mode?: number
}

/** Lists the paths of an image that do not belong to root, or have setuid or setgid bits. */
export async function readOwners(layers: readonly Layer[], signal?: AbortSignal): Promise<OwnedPath[]> {
  const owners = new OwnerTree()
  for (const layer of layers) {
    const added = new Map<ByteString, OwnedPath | undefined>()
    const entry = (found: TarEntry): void => {
      const path = relativeName(found.name)
      const base = baseOf(path)
      if (base === '.wh..wh..opq') return owners.deleteBelow(parentOf(path))
      if (base.startsWith('.wh.')) {
        const victim = path.slice(0, path.length - base.length) + base.slice('.wh.'.length)
        owners.delete(victim)
        return owners.deleteBelow(victim)
      }
      if (found.type !== 'directory') owners.deleteBelow(path)
      added.set(path, found.type === 'hardlink' ? added.get(relativeName(found.target)) : special(path, found))
    }
    const handler = { entry, data: () => {}, endOfFile: () => {} }
    await readTar(layerTar(layer, signal), handler, signal ? { signal } : {})
    // Whiteouts concern the layers below only.
    for (const [path, owner] of added) {
      if (owner === undefined) owners.delete(path)
      else owners.set({ ...owner, path })
    }
  }
  return owners.values().sort((a, b) => (a.path < b.path ? -1 : 1))
}

function special(path: ByteString, { type, mode, uid, gid }: TarEntry): OwnedPath | undefined {
  const hasBits = (type === 'file' || type === 'directory') && (mode & 0o6000) !== 0
  if (path === '' || (uid === 0 && gid === 0 && !hasBits)) return undefined
  return { path, uid, gid, ...(hasBits && { mode }) }
}

/** Owners by path, with the entries of each directory: an image has hundreds of thousands of entries that are deleted or replaced. */
class OwnerTree {
  readonly #owners = new Map<ByteString, OwnedPath>()
  /** The paths in a directory that have an owner here, or something below with one. */
  readonly #entries = new Map<ByteString, Set<ByteString>>()

  set(owned: OwnedPath): void {
    this.#owners.set(owned.path, owned)
    for (let path = owned.path; path !== ''; path = parentOf(path)) {
      const entries = this.#entries.get(parentOf(path))
      if (entries?.has(path) === true) return
      if (entries === undefined) this.#entries.set(parentOf(path), new Set([path]))
      else entries.add(path)
    }
  }

  delete(path: ByteString): void {
    this.#owners.delete(path)
  }

  deleteBelow(directory: ByteString): void {
    const directories = [directory]
    for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
      for (const path of this.#entries.get(next) ?? []) {
        this.#owners.delete(path)
        directories.push(path)
      }
      this.#entries.delete(next)
    }
  }

  values(): OwnedPath[] {
    return [...this.#owners.values()]
  }
}

/**
 * Gives paths below a directory their owners and modes. Follows no link. Paths that do not exist are left out: unpacked images have no
 * devices. So are ids that the user namespace does not have.
 * @param isLeftOut for paths that are not the image's, such as mounts
 */
export function giveOwners(top: string, owners: readonly OwnedPath[], isLeftOut: (path: ByteString) => boolean): void {
  const cursor = new PathCursor(OpenDirectory.follow(top))
  try {
    for (const owned of owners) {
      if (isLeftOut(owned.path)) continue
      try {
        give(cursor.at(parentOf(owned.path)), baseOf(owned.path), owned)
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL')) throw error
      }
    }
  } finally {
    cursor.close()
  }
}

function give(parent: OpenDirectory, name: ByteString, { uid, gid, mode }: OwnedPath): void {
  const kind = lstatSync(parent.path(name))
  lchownSync(parent.path(name), uid, gid)
  if (mode === undefined || !(kind.isFile() || kind.isDirectory())) return
  const fd = parent.openPath(name)
  try {
    // The mode comes last: a change of owner takes setuid bits away.
    if (!fstatSync(fd).isSymbolicLink()) chmodSync(`/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}
