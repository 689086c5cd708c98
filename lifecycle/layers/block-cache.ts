import { createHash, hash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../errors.ts'
import { ownName, ownerOf } from '../files/owner.ts'
import { maxBlock } from './deflate/index.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** Smaller ones are compressed again sooner than they are found. */
const worthIt = 64 * 1024
const digestLength = 32

/**
 * What a block was compressed to before, or what `compress` makes of it now, kept for the next time in a file named for the
 * block's hash. The same bytes either way: each file begins with a hash of what follows, so that one that was cut off by a
 * power cut or damaged is made again, and `folder` is for one compressor in one version. A cache that cannot be used costs
 * time only. Synchronous, for threads that do nothing else.
 */
export function throughCache(folder: string, block: Uint8Array, compress: () => Uint8Array): Uint8Array {
  if (block.length < worthIt) return compress()
  const name = hash('sha256', block, 'hex')
  const path = join(folder, name.slice(0, 2), name)
  const found = read(path)
  if (found !== undefined) return found
  const made = compress()
  write(path, made)
  return made
}

function read(path: string): Uint8Array | undefined {
  return unlessRefused(() => {
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const { size } = fstatSync(fd)
      if (size < digestLength || size > 2 * maxBlock) return undefined
      const expected = new Uint8Array(digestLength)
      const content = new Uint8Array(size - digestLength)
      for (const bytes of [expected, content]) if (readSync(fd, bytes) < bytes.length) return undefined
      if (!sha256(content).equals(expected)) return undefined
      const now = Date.now() / 1000
      futimesSync(fd, now, now) // the least recently used are deleted first
      return content
    } finally {
      closeSync(fd)
    }
  })
}

function write(path: string, content: Uint8Array): void {
  unlessRefused(() => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const draft = join(dirname(path), ownName())
    const fd = openSync(draft, 'wx', 0o600)
    try {
      // A short one is found out by its hash.
      for (const bytes of [sha256(content), content]) writeSync(fd, bytes)
      renameSync(draft, path)
    } catch (error) {
      unlinkSync(draft) // the disk is full, and we shall not be what fills it
      throw error
    } finally {
      closeSync(fd)
    }
  })
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

function unlessRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isErrno(error)) return undefined
    throw error
  }
}

/** Caches that this process may have added to. */
const used = new Set<string>()

/** The folder of a compressor in a block cache; `version` tells it from those that make other bytes of the same. */
export function blockFolder(dir: string, version: string): string {
  used.add(dir)
  return join(dir, version)
}

/**
 * Deletes the least recently used blocks of a cache until the rest have at most `maxBytes`; looks only if this process has
 * used it.
 */
export async function pruneBlocks(dir: string, maxBytes: number): Promise<void> {
  if (!used.delete(dir)) return
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  const files: { path: string; size: number; time: number }[] = []
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if (ownerOf(entry.name) === 'dead') {
      await unlink(path).catch(() => {}) // killed while it wrote
      continue
    }
    const stats = await stat(path).catch(() => undefined)
    if (stats !== undefined) files.push({ path, size: stats.size, time: stats.mtimeMs })
  }
  let total = 0
  for (const { path, size } of files.sort((a, b) => b.time - a.time)) {
    total += size
    if (total > maxBytes) await unlink(path).catch(() => {}) // another build has
  }
}
