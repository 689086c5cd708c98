import { lstat, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../errors.ts'
import { leaseState } from '../../files/lease.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { type Digest, isDigest } from '../../image/digest.ts'
import type { Descriptor } from '../../image/manifest.ts'
import { type LayoutDirectory, stagingDir } from './directory.ts'
import { type IndexFile, isDescriptor } from './index-file.ts'
import { readReferences } from './read.ts'

/** What `collectGarbage` deleted. */
export interface Collected {
  readonly blobs: number
  readonly bytes: number
}

/** Milliseconds. A layer that was stored or found less than this ago may belong to an image that is about to be put. */
const grace = 3600_000

/**
 * Deletes blobs that are not reachable from the index, and old temporary files. The caller holds the lock, so no image is put
 * meanwhile. Layers may be put, and new ones are kept.
 * @throws BaleError 'input' if an image cannot be read. Then its blobs are unknown, so nothing is deleted
 */
export async function collectGarbage(files: LayoutDirectory, index: IndexFile): Promise<Collected> {
  const needed = new Set<Digest>()
  for (const entry of index.manifests) if (isDescriptor(entry)) await mark(files, entry, needed)
  let blobs = 0
  let bytes = 0
  const folder = join(files.path, 'blobs', 'sha256')
  for (const name of await namesIn(folder)) {
    const digest = `sha256:${name}`
    if (!isDigest(digest) || needed.has(digest)) continue
    const size = await deleteIfOld(join(folder, name))
    if (size === undefined) continue
    blobs++
    bytes += size
  }
  const staging = join(files.path, stagingDir)
  for (const name of await namesIn(staging)) {
    if (leaseState(name) === 'unknown') await deleteIfOld(join(staging, name))
  }
  return { blobs, bytes }
}

/** Marks a blob and everything that it refers to. Each document is read once, so a cycle ends. */
async function mark(files: LayoutDirectory, descriptor: Descriptor, needed: Set<Digest>): Promise<void> {
  if (needed.has(descriptor.digest)) return
  needed.add(descriptor.digest)
  for (const next of await readReferences(files, descriptor)) await mark(files, next, needed)
}

async function deleteIfOld(path: string): Promise<number | undefined> {
  try {
    const found = await lstat(path)
    if (!found.isFile() || Date.now() - found.mtimeMs < grace) return undefined
    await wrapErrno(path, () => unlink(path))
    return found.size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}
