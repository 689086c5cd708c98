import { closeSync, constants, openSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { BaleError } from '../../errors.ts'
import { errnoError } from '../../files/wrap-errno.ts'
import { TarWriter } from '../../layers/tar/writer.ts'
import type { FilePlace } from './tar-file.ts'

/** An entry of an archive: a directory, a link, bytes, or a part of a file on this host. Mode 0644 unless given. */
export type ArchiveEntry =
  | { readonly name: string; readonly kind: 'directory' }
  | { readonly name: string; readonly kind: 'symlink'; readonly target: string }
  | { readonly name: string; readonly kind: 'bytes'; readonly content: Uint8Array; readonly mode?: number }
  | { readonly name: string; readonly kind: 'file'; readonly place: FilePlace; readonly mode?: number }

const owner = { uid: 0, gid: 0, target: '' }

/** The bytes of a tar with these entries in this order, owned by root and dated 1980, so that they are the same each time. */
export async function* tarBytes(entries: Iterable<ArchiveEntry>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const writer = new TarWriter()
  try {
    for (const block of blocks(writer, entries)) {
      signal?.throwIfAborted()
      yield Buffer.from(block) // the writer reuses its block while a socket may still be sending it
      await setImmediate() // reading is synchronous, so this lets other work run
    }
  } finally {
    writer.release()
  }
}

function* blocks(writer: TarWriter, entries: Iterable<ArchiveEntry>): Generator<Uint8Array> {
  for (const entry of entries) {
    if (entry.kind === 'directory') {
      yield* writer.header({ ...owner, type: 'directory', path: entry.name, mode: 0o755, size: 0 })
    } else if (entry.kind === 'symlink') {
      const { name, target } = entry
      yield* writer.header({ ...owner, type: 'symlink', path: name, target, mode: 0o777, size: 0 })
    } else if (entry.kind === 'bytes') {
      const { name, content, mode = 0o644 } = entry
      yield* writer.header({ ...owner, type: 'file', path: name, mode, size: content.length })
      let done = 0
      yield* writer.content(content.length, (block, offset, length) => {
        block.set(content.subarray(done, done + length), offset)
        done += length
        return length
      })
    } else {
      yield* fileBlocks(writer, entry)
    }
  }
  yield* writer.end()
}

function* fileBlocks(
  writer: TarWriter,
  { name, place, mode = 0o644 }: ArchiveEntry & { kind: 'file' },
): Generator<Uint8Array> {
  const { path, offset: start, size } = place
  const fd = attempt(path, () => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW))
  try {
    yield* writer.header({ ...owner, type: 'file', path: name, mode, size })
    let done = 0
    yield* writer.content(size, (block, offset, length) => {
      const count = attempt(path, () => readSync(fd, block, offset, length, start + done))
      if (count === 0) throw changed(path)
      done += count
      return count
    })
  } finally {
    closeSync(fd)
  }
}

function attempt<T>(path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw errnoError(error, path)
  }
}

function changed(path: string): BaleError {
  return new BaleError('filesystem', 'another process changed this temporary file', {
    where: path,
    fix: 'build again',
  })
}
