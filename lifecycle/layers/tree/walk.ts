import { type ByteString, toBuffer } from '../../files/byte-string.ts'
import type { OpenDirectory, DirectoryEntry, FileKind } from '../../files/open-directory.ts'
import { wrapErrnoSync } from '../../files/safe-open.ts'
import { checkLength } from '../tar/header.ts'

/** An entry below a directory. Its descriptors are valid until the walk continues. */
export interface TreeEntry {
  /** Relative to the root of the walk. */
  readonly path: ByteString
  readonly name: ByteString
  readonly kind: FileKind
  readonly parent: OpenDirectory
  /** The entry itself, opened, if it is a directory. */
  readonly directory?: OpenDirectory
}

interface Level {
  readonly directory: OpenDirectory
  readonly prefix: ByteString
  readonly children: readonly DirectoryEntry[]
  next: number
}

/**
 * Emits everything below a directory, depth first in byte order of names, a directory before its entries. Goes from
 * descriptor to descriptor and through no link. The directory itself is not emitted, and stays open.
 * @param host the path of the top, for messages
 * @param skip returns whether to leave an entry out, with everything below; it gets the path from the top
 * @throws BaleError 'filesystem', which names an unreadable directory, or a path too long for any Linux (S10)
 */
export function* walk(
  top: OpenDirectory,
  host: ByteString,
  skip?: (path: Buffer, kind: FileKind) => boolean,
): Generator<TreeEntry, void> {
  const open = (directory: OpenDirectory, prefix: ByteString): Level => {
    const children = wrapErrnoSync(`${host}/${prefix}`.slice(0, -1), () => directory.list())
    return { directory, prefix, children, next: 0 }
  }
  // An explicit stack: directories may be nested more deeply than generators can be.
  const levels = [open(top, '')]
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const child = level.children[level.next++]
      if (child === undefined) {
        if (levels.length > 1) level.directory.close()
        levels.pop()
        continue
      }
      const path = level.prefix + child.name
      if (skip?.(toBuffer(path), child.kind) === true) continue
      checkLength(path)
      const found = { ...child, path, parent: level.directory }
      if (child.kind !== 'directory') {
        yield found
        continue
      }
      const parent = level.directory
      const directory = wrapErrnoSync(`${host}/${path}`, () => parent.enter(child.name))
      try {
        levels.push(open(directory, `${path}/`))
      } catch (error) {
        directory.close()
        throw error
      }
      yield { ...found, directory }
    }
  } finally {
    for (const level of levels.slice(1)) level.directory.close()
  }
}
