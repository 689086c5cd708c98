import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { BaleError, isErrno } from '../errors.ts'
import { type ByteString, printable, toBytes } from './bytes.ts'
import { Directory, kindOf } from './directory.ts'

/**
 * Removes a file, a link or a directory with everything below it; nothing if there is nothing. Follows no link, goes into
 * directories whose mode forbids it, and holds few descriptors however deep the tree is.
 * @throws BaleError 'filesystem' naming the first entry that cannot be removed
 */
export async function removeTree(path: string): Promise<void> {
  let parent: Directory
  try {
    parent = Directory.follow(dirname(path))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw cannot(toBytes(path), error)
  }
  try {
    for (const _some of removals(parent, toBytes(basename(path)), toBytes(path))) await setImmediate()
  } finally {
    parent.close()
  }
}

/** The same at once, for an entry of an open directory. */
export function removeEntry(parent: Directory, name: ByteString, shown: ByteString): void {
  for (const _some of removals(parent, name, shown));
}

const maxDepth = 64
const pause = 256 // entries

/** Yields now and then. A directory that lies too deep is moved up to the top, to be removed after the rest. */
function* removals(parent: Directory, name: ByteString, shown: ByteString): Generator<void, void> {
  const kind = kindAt(parent, name, shown)
  if (kind === undefined) return
  if (kind !== 'directory') return unlink(parent, name, shown)
  const aside = `.bale-${randomUUID()}-`
  let removed = 0
  let moved = 0
  const top = enter(parent, name, shown)

  function* empty(directory: Directory, path: ByteString, depth: number): Generator<void, void> {
    for (const { name, kind } of list(directory, path)) {
      if (++removed % pause === 0) yield
      const at = `${path}/${name}`
      if (kind !== 'directory') {
        unlink(directory, name, at)
      } else if (depth === maxDepth) {
        enter(directory, name, at).close() // makes it writable, as moving needs
        attempt(at, () => renameSync(directory.path(name), top.path(`${aside}${moved++}`)))
      } else {
        const inner = enter(directory, name, at)
        try {
          yield* empty(inner, at, depth + 1)
        } finally {
          inner.close()
        }
        rmdir(directory, name, at)
      }
    }
  }

  try {
    for (let before = -1; before < moved;) {
      before = moved
      yield* empty(top, shown, 1)
    }
  } finally {
    top.close()
  }
  rmdir(parent, name, shown)
}

function kindAt(parent: Directory, name: ByteString, shown: ByteString) {
  try {
    return kindOf(lstatSync(parent.path(name)))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw cannot(shown, error)
  }
}

function list(directory: Directory, shown: ByteString) {
  try {
    return directory.list()
  } catch (error) {
    throw cannot(shown, error)
  }
}

/** Opens a directory so that its entries can be listed and removed, whatever its mode was. */
function enter(parent: Directory, name: ByteString, shown: ByteString): Directory {
  try {
    const directory = parent.enter(name)
    if ((fstatSync(directory.fd).mode & 0o700) === 0o700) return directory
    directory.close()
  } catch (error) {
    if (!isErrno(error, 'EACCES')) throw cannot(shown, error)
  }
  try {
    makeAccessible(parent.path(name))
    return parent.enter(name)
  } catch (error) {
    throw cannot(shown, error)
  }
}

// Node does not name it; the same number on every architecture that Node runs on.
const O_PATH = 0o10000000

/** chmod follows links, but not here: the descriptor is of the entry itself, and it is a directory. */
function makeAccessible(path: Buffer): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY)
  try {
    chmodSync(`/proc/self/fd/${fd}`, 0o700)
  } finally {
    closeSync(fd)
  }
}

// Whoever else removes the same tree may be faster.
function unlink(parent: Directory, name: ByteString, shown: ByteString): void {
  attempt(shown, () => unlinkSync(parent.path(name)), 'ENOENT')
}

function rmdir(parent: Directory, name: ByteString, shown: ByteString): void {
  attempt(shown, () => rmdirSync(parent.path(name)), 'ENOENT')
}

function attempt(shown: ByteString, call: () => void, harmless?: string): void {
  try {
    call()
  } catch (error) {
    if (harmless === undefined || !isErrno(error, harmless)) throw cannot(shown, error)
  }
}

function cannot(shown: ByteString, error: unknown): unknown {
  if (!isErrno(error)) return error
  const where = printable(shown)
  const foreign = error.code === 'EACCES' || error.code === 'EPERM'
  return new BaleError('filesystem', `${where} cannot be removed: ${foreign ? 'permission denied' : error.code}`, {
    where,
    fix: foreign ? 'it belongs to another user, who must remove it' : undefined,
    cause: error,
  })
}
