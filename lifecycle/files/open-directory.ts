import { closeSync, constants, type Dirent, openSync, readdirSync, type Stats } from 'node:fs'
import { type ByteString, toBuffer } from './byte-string.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
// O_PATH, which Node does not export. It is the same number on every architecture of Node.
const O_PATH = 0o10000000

export type FileKind = 'file' | 'directory' | 'symlink' | 'socket' | 'fifo' | 'device' | 'unknown'

export function kindOf(entry: Dirent<Buffer> | Stats): FileKind {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  if (entry.isSymbolicLink()) return 'symlink'
  if (entry.isSocket()) return 'socket'
  if (entry.isFIFO()) return 'fifo'
  if (entry.isBlockDevice() || entry.isCharacterDevice()) return 'device'
  return 'unknown'
}

export interface DirectoryEntry {
  readonly name: ByteString
  readonly kind: FileKind
}

/**
 * A directory held open. Its children are named through `/proc/self/fd`, so a lookup always starts at this directory:
 * swapping it, or a parent, for a link (X24, X25, T12) leads nowhere. It replaces openat(2), which Node lacks.
 */
export class OpenDirectory {
  readonly fd: number
  readonly #prefix: string

  private constructor(fd: number) {
    this.fd = fd
    this.#prefix = `/proc/self/fd/${fd}/`
  }

  /** Opens a path that is trusted except for its last part, which must be a directory and no link. */
  static open(path: string): OpenDirectory {
    return new OpenDirectory(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
  }

  /** Opens a path that is entirely trusted: links are followed. */
  static follow(path: string): OpenDirectory {
    return new OpenDirectory(openSync(path, O_RDONLY | O_DIRECTORY))
  }

  /** Returns a path to a child, for a single system call that does not follow links. `name` is one part, never `..`. */
  path(name: ByteString): Buffer {
    return toBuffer(this.#prefix + name)
  }

  /** @throws ENOTDIR or ELOOP for a link or anything else that is not a directory */
  enter(name: ByteString): OpenDirectory {
    return new OpenDirectory(openSync(this.path(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
  }

  /** Opens a child for reading. Never blocks on a fifo and follows no link. The caller checks the type of what is open. */
  openFile(name: ByteString): number {
    return openSync(this.path(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  }

  /**
   * Opens the entry itself (O_PATH), of any type and mode, without following a link. The descriptor works with fstat,
   * and a call on `/proc/self/fd/N` reaches the same inode.
   */
  openPath(name: ByteString): number {
    return openSync(this.path(name), O_PATH | O_NOFOLLOW)
  }

  /** Lists names and kinds in byte order, independent of the file system's order. */
  list(): DirectoryEntry[] {
    return readdirSync(this.#prefix, { withFileTypes: true, encoding: 'buffer' })
      .map(entry => ({ name: entry.name.toString('latin1'), kind: kindOf(entry) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  close(): void {
    closeSync(this.fd)
  }
}
