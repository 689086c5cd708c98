import { type Stats, closeSync, fstatSync, lstatSync, readlinkSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { BaleError } from '../../errors.ts'
import type { LayerDigests, LayerSource } from '../../image/layer.ts'
import { type ByteString, fromBuffer, printableName, toBytes } from '../../files/byte-string.ts'
import { PathCursor } from './cursor.ts'
import { checkHoles } from './holes.ts'
import { type FileKind, OpenDirectory, kindOf } from '../../files/open-directory.ts'
import { checkEntry, isWhiteout, type LayerEntry, whiteoutOf } from './entries.ts'
import { wrapErrnoSync, openDirectory, openParent } from '../../files/safe-open.ts'
import { type TarHeader, constantTime } from '../tar/header.ts'
import { type Blocks, TarWriter } from '../tar/writer.ts'
import type { Changes } from './snapshot.ts'
import { baseOf, parentOf } from './tree-writer.ts'
import { walk } from './walk.ts'

export { listTree } from './list.ts'

export interface LayerSourceOptions {
  /** Reports omitted or changed entries: one line for each kind, with names. Not repeated when the tar is read again. */
  onWarning?(text: string): void
  known?: LayerDigests
}

/**
 * Makes a layer of these entries, in their order. The same entries over the same files give the same bytes, with any
 * umask, locale, timezone or file system: times are 1980-01-01T00:00:01Z, owners are the entry's, user names are empty,
 * directories are walked depth first in byte order of names. Modes are preserved, but files lose setuid and setgid (S13).
 * Hard links become copies (S07). Sockets are left out with a warning (S01). A mount below a tree is part of the tree, as it
 * was for the buildpack (S14).
 *
 * Reading `tar()` throws BaleError 'filesystem', which names an entry that cannot be read, changes while it is read, is a
 * fifo or a device, or has a name that an image cannot have. A layer is the unchanged tree, or an error.
 */
export function layerSource(
  createdBy: string,
  entries: readonly LayerEntry[],
  options: LayerSourceOptions = {},
): LayerSource {
  for (const entry of entries) checkEntry(entry)
  return packed(createdBy, options, packer => packer.pack(entries))
}

/**
 * Makes a layer of a program's changes to a file system: entries with their owners and modes, setuid
 * included, and whiteouts for deleted entries (image-spec layer.md, "Change Types"). File times before `since` stay, such as those
 * of unpacked packages: Python's caches of compiled modules refer to them. All others become the fixed time of layers. Extended attributes
 * are not read.
 */
export function changesSource(createdBy: string, changes: Changes, options: LayerSourceOptions = {}): LayerSource {
  return packed(createdBy, options, packer => packer.packChanges(changes))
}

function packed(createdBy: string, options: LayerSourceOptions, pack: (packer: Packer) => Blocks): LayerSource {
  let warned = false
  return {
    kind: 'source',
    createdBy,
    ...(options.known && { known: options.known }),
    async *tar(signal) {
      const packer = new Packer()
      try {
        for (const block of pack(packer)) {
          signal?.throwIfAborted()
          yield block
          await setImmediate() // reading is synchronous: lets other work run
        }
      } finally {
        packer.release()
      }
      if (!warned) for (const text of packer.warnings()) options.onWarning?.(text)
      warned = true
    },
  }
}

/** An entry's path on the host (for messages), its path in the image, and its owner. */
interface Place {
  host: ByteString
  path: ByteString
  uid: number
  gid: number
}

/** Packs the entries once. */
class Packer {
  readonly #tar = new TarWriter()
  readonly #sockets = new Names('not in the layer, which cannot contain sockets')
  readonly #privileged = new Names('without setuid and setgid bits in the layer')

  warnings(): string[] {
    return [this.#sockets, this.#privileged].flatMap(names => names.sentence() ?? [])
  }

  /** Returns its memory. */
  release(): void {
    this.#tar.release()
  }

  *pack(entries: readonly LayerEntry[]): Blocks {
    for (const entry of entries) yield* this.#entry(entry)
    yield* this.#tar.end()
  }

  *packChanges({ top, changed, removed, since }: Changes): Blocks {
    const whiteouts = new Map(removed.map(path => [whiteoutOf(path), path]))
    const cursor = new PathCursor(OpenDirectory.follow(top))
    try {
      for (const path of [...changed, ...whiteouts.keys()].sort()) {
        const host = `${toBytes(top === '/' ? '' : top)}/${path}`
        if (whiteouts.has(path)) {
          const root = { path: `/${path}`, target: '', uid: 0, gid: 0 }
          yield* this.#tar.header({ ...root, type: 'file', mode: 0o644, size: 0 })
          continue
        }
        checkName(path, host)
        const parent = wrapErrnoSync(host, () => cursor.at(parentOf(path)))
        const stats = wrapErrnoSync(host, () => lstatSync(parent.path(baseOf(path))))
        const { uid, gid, mode } = stats
        const place = { host, path: `/${path}`, uid, gid }
        const kind = kindOf(stats)
        if (kind === 'directory')
          yield* this.#directory(
            wrapErrnoSync(host, () => cursor.at(path)),
            place,
          )
        else if (kind === 'file')
          yield* this.#file(parent, baseOf(path), place, { mode: mode & 0o7777, mtime: timeBefore(since, stats) })
        else yield* this.#leaf(parent, baseOf(path), kind, place)
      }
    } finally {
      cursor.close()
    }
    yield* this.#tar.end()
  }

  *#entry(entry: LayerEntry): Blocks {
    const path = toBytes(entry.imagePath)
    const { uid, gid } = entry
    switch (entry.kind) {
      case 'directory':
        yield* this.#tar.header({ type: 'directory', path, target: '', mode: entry.mode, uid, gid, size: 0 })
        break
      case 'symlink': {
        const target = toBytes(entry.target)
        yield* this.#tar.header({ type: 'symlink', path, target, mode: 0o777, uid, gid, size: 0 })
        break
      }
      case 'file':
        yield* this.#bytes(entry.content, { type: 'file', path, target: '', mode: entry.mode, uid, gid })
        break
      case 'host-file':
        yield* this.#hostFile(entry, { host: toBytes(entry.hostPath), path, uid, gid })
        break
      case 'tree':
        yield* this.#tree(entry, { host: toBytes(entry.hostPath), path, uid, gid })
        break
      case 'paths':
        yield* this.#paths(entry, { host: toBytes(entry.hostPath), path, uid, gid })
        break
    }
  }

  *#bytes(content: Uint8Array, header: Omit<TarHeader, 'size'>): Blocks {
    yield* this.#tar.header({ ...header, size: content.length })
    let at = 0
    yield* this.#tar.content(content.length, (block, offset, length) => {
      block.set(content.subarray(at, at + length), offset)
      at += length
      return length
    })
  }

  *#hostFile(entry: LayerEntry & { kind: 'host-file' }, place: Place): Blocks {
    const { parent, name } = openParent(entry)
    try {
      yield* this.#file(parent, name, place, { mode: entry.mode })
    } finally {
      parent.close()
    }
  }

  *#tree(entry: LayerEntry & { kind: 'tree' }, place: Place): Blocks {
    const top = openDirectory(entry)
    try {
      yield* this.#directory(top, place)
      for (const { path, name, kind, parent, directory } of walk(top, place.host, entry.skip)) {
        const child = placeBelow(place, path)
        checkName(name, child.host)
        if (directory !== undefined) yield* this.#directory(directory, child)
        else yield* this.#leaf(parent, name, kind, child)
      }
    } finally {
      top.close()
    }
  }

  *#paths(entry: LayerEntry & { kind: 'paths' }, root: Place): Blocks {
    const cursor = new PathCursor(openDirectory(entry))
    try {
      for (const path of uniqueSorted(entry.paths)) {
        if (path === '') {
          yield* this.#directory(cursor.at(''), root)
          continue
        }
        const place = placeBelow(root, path)
        const slash = path.lastIndexOf('/')
        const name = path.slice(slash + 1)
        checkName(path, place.host)
        const parent = wrapErrnoSync(place.host, () => cursor.at(slash < 0 ? '' : path.slice(0, slash)))
        const kind = wrapErrnoSync(place.host, () => kindOf(lstatSync(parent.path(name))))
        if (kind === 'directory') {
          const directory = wrapErrnoSync(place.host, () => cursor.at(path))
          yield* this.#directory(directory, place)
        } else {
          yield* this.#leaf(parent, name, kind, place)
        }
      }
    } finally {
      cursor.close()
    }
  }

  *#directory(directory: OpenDirectory, { host, path, uid, gid }: Place): Blocks {
    const mode = wrapErrnoSync(host, () => fstatSync(directory.fd)).mode & 0o3777
    yield* this.#tar.header({ type: 'directory', path, target: '', mode, uid, gid, size: 0 })
  }

  *#leaf(parent: OpenDirectory, name: ByteString, kind: FileKind, place: Place): Blocks {
    if (kind === 'file') {
      yield* this.#file(parent, name, place)
    } else if (kind === 'symlink') {
      const { host, path, uid, gid } = place
      const target = fromBuffer(wrapErrnoSync(host, () => readlinkSync(parent.path(name), 'buffer')))
      yield* this.#tar.header({ type: 'symlink', path, target, mode: 0o777, uid, gid, size: 0 })
    } else if (kind === 'socket') {
      this.#sockets.add(place.host)
    } else {
      // Not opened at all: reading a fifo would wait forever for a writer (S02, X29), and opening a device may have effects
      // (S03).
      const what = {
        fifo: 'a named pipe',
        device: 'a device',
        directory: 'a directory',
        unknown: 'of an unknown kind',
      }[kind]
      throw entryError(
        place.host,
        `is ${what}, which a layer cannot contain`,
        'remove it, or exclude it from the source',
      )
    }
  }

  /**
   * Packs a regular file. Opens it without following a link, and fixes its size then; another size at the end is an error
   * (S11).
   */
  *#file(
    parent: OpenDirectory,
    name: ByteString,
    place: Place,
    given: { readonly mode?: number; readonly mtime?: number } = {},
  ): Blocks {
    const { host, path, uid, gid } = place
    const fd = wrapErrnoSync(host, () => parent.openFile(name))
    try {
      const stats = regular(fd, host)
      checkHoles(stats, printableName(host))
      const { size, mode, mtimeMs } = stats
      if (given.mode === undefined && (mode & 0o6000) !== 0) this.#privileged.add(host)
      yield* this.#tar.header({ type: 'file', path, target: '', mode: mode & 0o777, uid, gid, size, ...given })
      yield* this.#tar.content(size, (block, offset, length) => {
        const count = wrapErrnoSync(host, () => readSync(fd, block, offset, length, null))
        if (count === 0) throw changed(host)
        return count
      })
      const after = regular(fd, host)
      if (after.size !== size || after.mtimeMs !== mtimeMs) throw changed(host)
    } finally {
      closeSync(fd)
    }
  }
}

/** In seconds. */
function timeBefore(since: number, { mtimeMs }: Stats): number {
  return mtimeMs >= 0 && mtimeMs < since ? Math.floor(mtimeMs / 1000) : constantTime
}

function regular(fd: number, host: ByteString): Stats {
  const stats = wrapErrnoSync(host, () => fstatSync(fd))
  if (!stats.isFile()) throw entryError(host, 'is not a regular file, or was replaced while it was read')
  return stats
}

function placeBelow({ host, path, uid, gid }: Place, relative: ByteString): Place {
  return { host: `${host}/${relative}`, path: `${path}/${relative}`, uid, gid }
}

function uniqueSorted(paths: readonly Buffer[]): ByteString[] {
  return [...new Set(paths.map(fromBuffer))].sort((a, b) => (a < b ? -1 : 1))
}

function checkName(path: ByteString, host: ByteString): void {
  if (isWhiteout(path))
    throw entryError(host, 'has a name that means "deleted" in an image layer', 'rename it, or leave it out')
}

function entryError(host: ByteString, what: string, fix?: string): BaleError {
  const where = printableName(host)
  return new BaleError('filesystem', `${where} ${what}`, { where, fix })
}

const changed = (host: ByteString): BaleError =>
  entryError(host, 'changed while it was read', 'stop whatever writes there and build again')

/** Lists a few names and a count, so that a warning stays one line. */
class Names {
  readonly #what: string
  readonly #first: string[] = []
  #count = 0

  constructor(what: string) {
    this.#what = what
  }

  add(name: ByteString): void {
    if (this.#count++ < 5) this.#first.push(printableName(name))
  }

  sentence(): string | undefined {
    if (this.#count === 0) return undefined
    const more = this.#count > this.#first.length ? ` and ${this.#count - this.#first.length} more` : ''
    return `${this.#what}: ${this.#first.join(', ')}${more}`
  }
}
