import { spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { BaleError, isErrno } from '../../errors.ts'
import { type ByteString, printableName, toBuffer } from '../../files/byte-string.ts'
import { PathCursor } from './cursor.ts'
import { type OpenDirectory, type FileKind, kindOf } from '../../files/open-directory.ts'
import { removeEntry } from '../../files/remove.ts'
import type { Owner } from './entries.ts'
import { damaged } from '../tar/fields.ts'

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Writes a tree of hostile entries below a directory of Bale. No path goes through a link, whether the entries themselves
 * made it (T06, T07) or it took a directory's place meanwhile (T12). No existing file is ever opened. Directories stay
 * accessible while the tree is written; `finish` sets the modes that forbid access. Paths are relative to the root, which is
 * the empty path.
 */
export class TreeWriter {
  readonly #cursor: PathCursor
  /** A second cursor for the target of a hard link, since a cursor has only one position. */
  readonly #others: PathCursor
  /**
   * Modes to set last: of directories that would become inaccessible, and of the root, which other users may not enter
   * before.
   */
  readonly #modes = new Map<ByteString, number>([['', 0o755]])
  #file: { fd: number; path: ByteString; mode: number; mtime: number } | undefined

  readonly #owner: Owner | undefined
  /** Directories, whose owner changes last: root without CAP_FOWNER can set modes and times only of its own files. */
  readonly #toGive = new Set<ByteString>()

  /** @param owner the owner of all new entries, if not this process's user */
  constructor(root: OpenDirectory, owner?: Owner) {
    this.#owner = owner
    this.#cursor = new PathCursor(root)
    this.#others = new PathCursor(root.enter('.'))
  }

  /** Returns the kind of a path, or undefined if it or its parent directory does not exist. */
  kindAt(path: ByteString): FileKind | undefined {
    if (path === '') return 'directory'
    try {
      const parent = this.#cursor.at(parentOf(path), enter)
      return kindOf(lstatSync(parent.path(baseOf(path))))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw refused(path, error)
    }
  }

  names(path: ByteString): ByteString[] {
    try {
      const children = this.#cursor.at(path, enter).list()
      return children.map(child => child.name)
    } catch (error) {
      throw refused(path, error)
    }
  }

  /** Makes a directory, which may exist already. */
  directory(path: ByteString, mode: number): void {
    if (path !== '') {
      const parent = this.#parent(path)
      writing(path, () => {
        try {
          mkdirSync(parent.path(baseOf(path)), 0o700)
        } catch (error) {
          if (!isErrno(error, 'EEXIST') || this.kindAt(path) !== 'directory') throw error
        }
      })
    }
    this.#setMode(path, mode & 0o3777)
    this.#toGive.add(path)
  }

  /** Starts a file, to be filled with `write` and closed with `endFile`. It loses setuid and setgid (T16). */
  beginFile(path: ByteString, mode: number, mtime: number): void {
    const parent = this.#parent(path)
    writing(path, () => {
      this.#file = { fd: openSync(parent.path(baseOf(path)), newFile, 0o600), path, mode: mode & 0o777, mtime }
    })
  }

  write(chunk: Uint8Array): void {
    const { fd, path } = this.#openFile()
    writing(path, () => {
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
    })
  }

  endFile(): void {
    const { fd, path, mode, mtime } = this.#openFile()
    writing(path, () => {
      fchmodSync(fd, mode)
      futimesSync(fd, mtime, mtime)
      this.#give(fd)
    })
    this.#file = undefined
    closeSync(fd)
  }

  symlink(path: ByteString, target: ByteString): void {
    const parent = this.#parent(path)
    writing(path, () => {
      symlinkSync(toBuffer(target), parent.path(baseOf(path)))
      if (this.#owner !== undefined) lchownSync(parent.path(baseOf(path)), this.#owner.uid, this.#owner.gid)
    })
  }

  /** Adds another name for an existing file. link(2) does not follow a link at the target either (T10). */
  hardlink(path: ByteString, target: ByteString): void {
    const kind = this.kindAt(target)
    if (kind !== 'file' && kind !== 'symlink')
      throw damaged(
        `it links to ${printableName(target)}, which is ${kind === undefined ? 'missing' : 'not a file'}`,
        path,
      )
    const from = this.#others.at(parentOf(target), enter)
    const parent = this.#parent(path)
    writing(path, () => linkSync(from.path(baseOf(target)), parent.path(baseOf(path))))
  }

  /**
   * Marks paths as deleted for overlayfs: devices 0:0, which every user may make (Linux 5.8, Documentation/filesystems/overlayfs.rst,
   * "whiteouts and opaque directories"). Paths that exist here stay.
   */
  whiteOut(paths: readonly ByteString[]): void {
    let made: ByteString | undefined
    for (const path of paths) {
      if (this.kindAt(path) !== undefined) continue
      if (made !== undefined && this.#linkWhiteout(path, made)) continue
      this.#makeWhiteout(path)
      made = path
    }
  }

  /** Another name for a device is as good, and takes no process. Returns false if the device can have no further name. */
  #linkWhiteout(path: ByteString, target: ByteString): boolean {
    const from = this.#others.at(parentOf(target), enter)
    const parent = this.#parent(path)
    try {
      linkSync(from.path(baseOf(target)), parent.path(baseOf(path)))
      return true
    } catch (error) {
      if (isErrno(error, 'EMLINK', 'EPERM', 'ENOTSUP')) return false
      throw refused(path, error)
    }
  }

  #makeWhiteout(path: ByteString): void {
    const parent = this.#parent(path)
    const name = toBuffer(baseOf(path)).toString()
    if (Buffer.from(name).compare(toBuffer(baseOf(path))) !== 0) throw damaged('its name is not UTF-8', path)
    const made = spawnSync('mknod', ['-m', '0', '--', `/proc/${process.pid}/fd/${parent.fd}/${name}`, 'c', '0', '0'], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      encoding: 'utf8',
    })
    if (made.status === 0) return
    throw new BaleError('filesystem', `${printableName(path)} cannot be marked as deleted: ${made.stderr}`.trim(), {
      where: printableName(path),
      fix: 'use Linux 5.8 or newer, and a file system that holds devices',
    })
  }

  remove(path: ByteString): void {
    this.#others.forget(path)
    const parent = this.#cursor.at(parentOf(path), enter)
    removeEntry(parent, baseOf(path), path)
  }

  /** Gives directories their modes and their owner, inner ones first: an outer one may forbid access. */
  finish(): void {
    const paths = [...new Set([...this.#modes.keys(), ...this.#toGive])].sort((a, b) => (a < b ? 1 : -1))
    for (const path of paths) {
      try {
        const { fd } = this.#cursor.at(path)
        const mode = this.#modes.get(path)
        if (mode !== undefined) fchmodSync(fd, mode)
        this.#give(fd)
      } catch (error) {
        // No longer a directory: a later layer deleted or replaced it.
        if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
      }
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
    this.#cursor.close()
    this.#others.close()
  }

  #give(fd: number): void {
    if (this.#owner !== undefined) fchownSync(fd, this.#owner.uid, this.#owner.gid)
  }

  #openFile(): { fd: number; path: ByteString; mode: number; mtime: number } {
    if (this.#file === undefined) throw new Error('no file is being written')
    return this.#file
  }

  /** Sets the mode at once if it leaves the directory accessible while its entries are written. */
  #setMode(path: ByteString, mode: number): void {
    this.#modes.delete(path)
    if (path === '' || (mode & 0o700) !== 0o700) this.#modes.set(path, mode)
    else writing(path, () => fchmodSync(this.#cursor.at(path, enter).fd, mode))
  }

  /** Returns the directory for a new entry. Makes it and its parents if needed, since an archive may leave them out. */
  #parent(path: ByteString): OpenDirectory {
    return this.#cursor.at(parentOf(path), (outer, name, whole) => {
      try {
        return enter(outer, name, whole)
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error
      }
      writing(whole, () => mkdirSync(outer.path(name), 0o700))
      const made = enter(outer, name, whole)
      writing(whole, () => fchmodSync(made.fd, 0o755))
      this.#toGive.add(whole)
      return made
    })
  }
}

/** @throws ENOENT unchanged, for callers that make missing directories */
function enter(outer: OpenDirectory, name: ByteString, path: ByteString): OpenDirectory {
  try {
    return outer.enter(name)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP')) throw damaged('it has entries below it, but it is not a directory', path)
    throw isErrno(error, 'ENOENT') ? error : refused(path, error)
  }
}

function writing(path: ByteString, call: () => void): void {
  try {
    call()
  } catch (error) {
    throw isErrno(error, 'EEXIST') ? damaged('it appears twice', path) : refused(path, error)
  }
}

function refused(path: ByteString, cause: unknown): unknown {
  if (!isErrno(cause)) return cause
  const where = printableName(path)
  const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT'
  return new BaleError('filesystem', `${where} cannot be written: ${full ? 'no space is left' : cause.code}`, {
    where,
    fix: full ? 'free some space on the disk' : undefined,
    cause,
  })
}

export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

export function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1)
}
