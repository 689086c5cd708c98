import { createHash } from 'node:crypto'
import { type BigIntStats, fstatSync, lstatSync, statfsSync } from 'node:fs'
import { type ByteString, toBuffer, toBytes } from './bytes.ts'
import { PathCursor } from './cursor.ts'
import type { Directory, FileKind } from './directory.ts'
import type { HostPlace } from './entries.ts'
import { naming, openDirectory } from './host.ts'
import { walk } from './walk.ts'

/** What lstat says of a part of a tree. Plain values: threads pass it on. */
export interface Look {
  /** A hash of paths, kinds, modes, and for files of sizes, times and inodes. */
  readonly seen: string
  /** The latest change time of a file, in nanoseconds since 1970. */
  readonly newest: bigint
}

/**
 * Looks at some directories of a tree and everything below them; the empty path is the tree itself.
 * Undefined where that would prove nothing (fingerprint.ts says when); 'large' if there are more than `most` entries.
 * @throws BaleError 'filesystem' naming what cannot be read
 */
export function lookAt(
  place: HostPlace,
  directories: readonly ByteString[],
  most = Infinity,
): Look | 'large' | undefined {
  return looking(place, (cursor, notes) => {
    let entries = 0
    for (const path of directories) {
      const host = hostPathOf(place, path)
      const top = naming(host, () => cursor.at(path))
      if (!notes.directory(top, host, path)) return undefined
      for (const found of walk(top, host)) {
        if (++entries > most) return 'large'
        const whole = below(path, found.path)
        const where = hostPathOf(place, whole)
        const { directory, parent, name, kind } = found
        const fits = directory ? notes.directory(directory, where, whole) : notes.leaf(parent, name, kind, where, whole)
        if (!fits) return undefined
      }
    }
    return notes.look()
  })
}

/** A look at the top of a tree, down to the first level of so many directories, and these: nobody has looked at them yet. */
export function lookAtTop(place: HostPlace, wanted: number): { look: Look; directories: ByteString[] } | undefined {
  return looking(place, (cursor, notes) => {
    let level: ByteString[] = ['']
    while (level.length > 0 && level.length < wanted) {
      const next: ByteString[] = []
      for (const path of level) {
        const host = hostPathOf(place, path)
        const parent = naming(host, () => cursor.at(path))
        if (!notes.directory(parent, host, path)) return undefined
        for (const { name, kind } of naming(host, () => parent.list())) {
          const whole = below(path, name)
          if (kind === 'directory') next.push(whole)
          else if (!notes.leaf(parent, name, kind, hostPathOf(place, whole), whole)) return undefined
        }
      }
      level = next
    }
    return { look: notes.look(), directories: level }
  })
}

function looking<T>(place: HostPlace, work: (cursor: PathCursor, notes: Notes) => T): T | undefined {
  const top = openDirectory(place)
  const cursor = new PathCursor(top)
  try {
    if (!localFileSystems.has(statfsSync(`/proc/self/fd/${top.fd}`).type)) return undefined
    return work(cursor, new Notes(naming(toBytes(place.hostPath), () => fstatSync(top.fd, { bigint: true })).dev))
  } finally {
    cursor.close()
  }
}

/** ext4 (and 2, 3), xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs: this machine's clock, no other writers (statfs(2)). */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
])

/** Somewhat less than PATH_MAX, with which the kernel gives up. */
const longPath = 4000

/** What has been seen. Methods say whether it can be proved to be as it was, later on. */
class Notes {
  readonly #hash = createHash('sha256')
  readonly #device: bigint
  #newest = 0n
  #lines: string

  constructor(device: bigint) {
    this.#device = device
    this.#lines = `${device}\n`
  }

  directory(directory: Directory, host: ByteString, path: ByteString): boolean {
    const { dev, mode } = naming(host, () => fstatSync(directory.fd, { bigint: true }))
    this.#hash.update(`${this.#lines}${path}\0d${mode}\n`, 'latin1')
    this.#lines = ''
    return dev === this.#device
  }

  leaf(parent: Directory, name: ByteString, kind: FileKind, host: ByteString, path: ByteString): boolean {
    // The plain path is found twice as fast as one through a descriptor. Were a parent swapped for a link, it would lead to
    // the very same inodes, or to others, and that is all that a look is to tell.
    const at = host.length < longPath ? toBuffer(host) : parent.path(name)
    const stats: BigIntStats = naming(host, () => lstatSync(at, { bigint: true }))
    const { dev, mode, size, mtimeNs, ctimeNs, ino } = stats
    this.#lines += `${path}\0${mode} ${size} ${mtimeNs} ${ctimeNs} ${ino}\n`
    if (ctimeNs > this.#newest) this.#newest = ctimeNs
    const plain = kind === 'symlink' || (kind === 'file' && (mode & 0o6000n) === 0n)
    return dev === this.#device && plain
  }

  look(): Look {
    return { seen: this.#hash.update(this.#lines, 'latin1').digest('hex'), newest: this.#newest }
  }
}

const below = (path: ByteString, rest: ByteString): ByteString => (path === '' ? rest : `${path}/${rest}`)
const hostPathOf = (place: HostPlace, path: ByteString): ByteString => below(toBytes(place.hostPath), path)
