import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, closeSync, fstatSync, lstatSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { BaleError, isErrno } from '../errors.ts'
import { type ByteString, printableName, toBytes } from './byte-string.ts'
import { OpenDirectory, kindOf } from './open-directory.ts'

/**
 * Removes a file, a link or a directory with everything below it, if it exists. Follows no link, enters directories whose
 * mode forbids it, and uses few descriptors for any depth of the tree.
 * @throws BaleError 'filesystem', which names the first entry that cannot be removed
 */
export async function removeTree(path: string): Promise<void> {
  await removeWithin(path, Infinity)
}

/**
 * Removes an entry likewise, but leaves a long removal to a separate program that outlives this process: a node_modules of
 * 30,000 files takes seconds. The path should be one that nothing else uses and that a later clean-up covers.
 */
export async function removeSoon(path: string): Promise<void> {
  if (await removeWithin(path, 100)) return
  const rm = spawn('rm', ['-rf', '--', resolve(path)], { detached: true, stdio: 'ignore', cwd: '/' })
  rm.on('error', () => {}) // rm does not exist: a later clean-up removes it
  rm.unref()
}

/** Returns false if the time, in milliseconds, was not enough. */
async function removeWithin(path: string, milliseconds: number): Promise<boolean> {
  const start = performance.now()
  const shown = toBytes(path)
  const name = toBytes(basename(path))
  if (name === '' || name === '.' || name === '..')
    throw new BaleError('failed', `${JSON.stringify(path)} is not a directory entry that can be removed`)
  const parent = attempt(shown, () => OpenDirectory.follow(dirname(path)))
  if (parent === undefined) return true
  try {
    for (const _some of new Removal().run(parent, name, shown)) {
      if (performance.now() - start > milliseconds) return false
      await setImmediate()
    }
    return true
  } finally {
    parent.close()
  }
}

/** Removes an entry of an open directory synchronously. `shown` is its path for messages. */
export function removeEntry(parent: OpenDirectory, name: ByteString, shown: ByteString): void {
  for (const _some of new Removal().run(parent, name, shown));
}

type Steps = Generator<void, void>

const maxDepth = 64
const entriesAtOnce = 256

/** Removes one entry in steps. Moves a directory that is too deep up to the top, for another round. */
class Removal {
  readonly #aside = `.bale-${randomUUID()}-`
  #moved = 0
  #removed = 0;

  *run(parent: OpenDirectory, name: ByteString, shown: ByteString): Steps {
    const kind = attempt(shown, () => kindOf(lstatSync(parent.path(name))))
    if (kind !== 'directory') {
      attempt(shown, () => unlinkSync(parent.path(name)))
      return
    }
    const top = attempt(shown, () => enter(parent, name))
    if (top === undefined) return
    try {
      for (let before = -1; before < this.#moved;) {
        before = this.#moved
        yield* this.#empty(top, top, shown, 1)
      }
    } finally {
      top.close()
    }
    attempt(shown, () => rmdirSync(parent.path(name)))
  }

  *#empty(directory: OpenDirectory, top: OpenDirectory, path: ByteString, depth: number): Steps {
    for (const { name, kind } of attempt(path, () => directory.list()) ?? []) {
      const shown = `${path}/${name}`
      if (++this.#removed % entriesAtOnce === 0) yield
      if (kind === 'directory') yield* this.#directory(directory, name, top, shown, depth)
      else attempt(shown, () => unlinkSync(directory.path(name)))
    }
  }

  *#directory(outer: OpenDirectory, name: ByteString, top: OpenDirectory, shown: ByteString, depth: number): Steps {
    const inner = attempt(shown, () => enter(outer, name))
    if (inner === undefined) return
    try {
      if (depth < maxDepth) yield* this.#empty(inner, top, shown, depth + 1)
    } finally {
      inner.close()
    }
    if (depth < maxDepth) attempt(shown, () => rmdirSync(outer.path(name)))
    else attempt(shown, () => renameSync(outer.path(name), top.path(`${this.#aside}${this.#moved++}`)))
  }
}

/** Opens a directory so that its entries can be listed, removed and moved, with any previous mode. */
function enter(parent: OpenDirectory, name: ByteString): OpenDirectory {
  try {
    const directory = parent.enter(name)
    if ((fstatSync(directory.fd).mode & 0o700) === 0o700) return directory
    directory.close()
  } catch (error) {
    if (!isErrno(error, 'EACCES')) throw error
  }
  makeAccessible(parent, name)
  return parent.enter(name)
}

/** chmod follows links, but not through a descriptor of the entry itself. */
function makeAccessible(parent: OpenDirectory, name: ByteString): void {
  const fd = parent.openPath(name)
  try {
    if (fstatSync(fd).isDirectory()) chmodSync(`/proc/self/fd/${fd}`, 0o700)
  } finally {
    closeSync(fd)
  }
}

/**
 * Returns the result of a system call, or undefined when the entry does not exist: another process may remove the same tree.
 */
function attempt<T>(shown: ByteString, call: () => T): T | undefined {
  try {
    return call()
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return undefined
    if (!isErrno(cause)) throw cause
    const where = printableName(shown)
    const foreign = cause.code === 'EACCES' || cause.code === 'EPERM'
    throw new BaleError('filesystem', `${where} cannot be removed: ${foreign ? 'permission denied' : cause.code}`, {
      where,
      ...(foreign && { fix: 'it belongs to another user, who must remove it' }),
      cause,
    })
  }
}
