import { type BigIntStats, lstatSync } from 'node:fs'
import { type ByteString, fromBuffer, toBytes } from '../../files/byte-string.ts'
import { OpenDirectory } from '../../files/open-directory.ts'
import { wrapErrnoSync } from '../../files/safe-open.ts'
import { parentOf } from './tree-writer.ts'
import { walk } from './walk.ts'

/** The state of each entry of a file system at one time, by its path from the top. Without sockets, which layers cannot have. */
export interface Snapshot {
  readonly top: string
  readonly entries: ReadonlyMap<ByteString, Entry>
}

interface Entry {
  readonly isDirectory: boolean
  /** Differs if the entry was changed: the kernel sets the change time, and no program can set it back. */
  readonly state: string
}

/** The changes of a file system between two snapshots. */
export interface Changes {
  readonly top: string
  /** New and changed paths, with all parent directories, relative to the top and sorted. */
  readonly changed: readonly ByteString[]
  /** Deleted paths, without the paths below them. */
  readonly removed: readonly ByteString[]
  /** Milliseconds since 1970: when the changes began. */
  readonly since: number
}

/**
 * @param left absolute paths to leave out, with everything below
 * @throws BaleError 'filesystem' for an unreadable entry
 */
export function takeSnapshot(top: string, left: readonly string[]): Snapshot {
  const entries = new Map<ByteString, Entry>()
  const prefix = top === '/' ? '/' : `${top}/`
  const skipped = new Set(left.filter(path => path.startsWith(prefix)).map(path => toBytes(path.slice(prefix.length))))
  const directory = OpenDirectory.follow(top)
  try {
    const skip = (path: Buffer): boolean => skipped.has(fromBuffer(path))
    for (const { path, name, kind, parent } of walk(directory, toBytes(top), skip)) {
      if (kind === 'socket') continue
      const stats = wrapErrnoSync(`${toBytes(prefix)}${path}`, () => lstatSync(parent.path(name), { bigint: true }))
      entries.set(path, { isDirectory: stats.isDirectory(), state: stateOf(stats) })
    }
  } finally {
    directory.close()
  }
  return { top, entries }
}

/** Leaves out a directory's times: they change with its contents, which have their own entries. */
function stateOf(stats: BigIntStats): string {
  const { mode, uid, gid, size, ino, mtimeNs, ctimeNs } = stats
  const own = [mode, uid, gid]
  return (stats.isDirectory() ? own : [...own, size, ino, mtimeNs, ctimeNs]).join(' ')
}

/** @param since milliseconds since 1970: when the changes began */
export function compareSnapshots(before: Snapshot, after: Snapshot, since: number): Changes {
  const changed = new Set<ByteString>()
  const withParents = (path: ByteString): void => {
    for (let at = path; at !== '' && !changed.has(at); at = parentOf(at)) changed.add(at)
  }
  for (const [path, { state }] of after.entries) if (before.entries.get(path)?.state !== state) withParents(path)
  const isDirectory = (path: ByteString): boolean => path === '' || after.entries.get(path)?.isDirectory === true
  const removed = [...before.entries.keys()].filter(path => !after.entries.has(path) && isDirectory(parentOf(path)))
  for (const path of removed) withParents(parentOf(path))
  return { top: after.top, changed: [...changed].sort(), removed: removed.sort(), since }
}
