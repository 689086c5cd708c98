import { Buffer } from 'node:buffer'
import { closeSync, fstatSync, readSync, readlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { BaleError } from '../errors.ts'
import { printableName, toBytes } from '../files/byte-string.ts'
import { OpenDirectory } from '../files/open-directory.ts'
import { wrapErrnoSync } from '../files/safe-open.ts'
import { walk } from '../layers/tree/walk.ts'
import type { Located } from './export-layers.ts'
import type { Form } from './mask.ts'

export interface Search {
  readonly forms: readonly Form[]
  /** Makes the error for a form that was found. `where`: the path in the image */
  readonly found: (id: string, where: string) => BaleError
  /** Selects directories to skip, by their paths in the tree. */
  readonly skip?: (path: Buffer) => boolean
  /** Leaves out the contents of files that were not changed since then: milliseconds since 1970, by the clock of the file system. */
  readonly since?: number | undefined
}

/**
 * Searches names, links and files of a directory of the build. Does not find compressed or encrypted text.
 * @throws BaleError from `found`, for the first place
 */
export async function searchTree({ host, image }: Located, search: Search, signal?: AbortSignal): Promise<void> {
  const top = OpenDirectory.open(host)
  const topPath = toBytes(host)
  const { find, overlap } = finderOf(search.forms)
  const buffer = Buffer.alloc(overlap + (1 << 20))
  try {
    let seen = 0
    for (const { path, name, kind, parent } of walk(top, topPath, search.skip)) {
      signal?.throwIfAborted()
      const at = <T>(call: () => T): T => wrapErrnoSync(`${topPath}/${path}`, call)
      const refuse = (bytes: Buffer): void => {
        const form = find(bytes)
        if (form !== undefined) throw search.found(form.id, `${image}/${printableName(path)}`)
      }
      refuse(Buffer.from(name, 'latin1'))
      if (kind === 'symlink') refuse(at(() => readlinkSync(parent.path(name), { encoding: 'buffer' })))
      if (kind === 'file') {
        const file = { fd: at(() => parent.openFile(name)), where: `${topPath}/${path}`, since: search.since ?? 0 }
        await searchFile(file, buffer, overlap, refuse, signal)
      }
      if (++seen % 64 === 0) await setImmediate()
    }
  } finally {
    top.close()
  }
}

/** Finds forms in pieces of a file. */
interface Finder {
  readonly find: (bytes: Buffer) => Form | undefined
  /** The bytes at the end of a piece with which the next one begins, so that no form is cut in two. */
  readonly overlap: number
}

export function finderOf(given: readonly Form[]): Finder {
  // A form within another one is found wherever the longer one is, and each one is searched for separately.
  const forms = given.filter(
    ({ bytes }) => !given.some(other => other.bytes.length < bytes.length && bytes.includes(other.bytes)),
  )
  return {
    find: bytes => forms.find(form => bytes.includes(form.bytes)),
    overlap: Math.max(...forms.map(({ bytes }) => bytes.length)) - 1,
  }
}

interface OpenFile {
  readonly fd: number
  readonly where: string
  /** See `Search`; 0 for files of any age. */
  readonly since: number
}

/** Reads a file in pieces, which overlap so that no form is cut in two. Closes it. */
async function searchFile(
  { fd, where, since }: OpenFile,
  buffer: Buffer,
  overlap: number,
  refuse: (bytes: Buffer) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const at = <T>(call: () => T): T => wrapErrnoSync(where, call)
  try {
    if (since > 0 && at(() => fstatSync(fd).ctimeMs) < since) return
    for (let kept = 0, pieces = 0; ; pieces++) {
      const read = at(() => readSync(fd, buffer, kept, buffer.length - kept, null))
      if (read === 0) return
      const filled = buffer.subarray(0, kept + read)
      refuse(filled)
      kept = Math.min(overlap, filled.length)
      filled.copyWithin(0, filled.length - kept)
      // Between the pieces of a large file, the build can be ended.
      if (pieces % 32 === 31) await setImmediate()
      signal?.throwIfAborted()
    }
  } finally {
    closeSync(fd)
  }
}
