import { createHash } from 'node:crypto'
import { link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { withLock } from '../files/lock.ts'
import { leaseName, leaseState } from '../files/lease.ts'
import { openRegular, readRange, readSmall } from '../files/read.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { type StagedFile, replaceFile, stageFile, syncDirectory } from '../files/staged.ts'
import { type Digest, isDigest } from '../image/digest.ts'
import type { LayerSource } from '../image/layer.ts'
import { decompress } from '../layers/compression/decompress.ts'
import { formatCacheMetadata, parseCacheMetadata } from '../spec/labels.ts'
import type { Cache, CacheWriter } from './cache.ts'
import { ChunkCache, extensions } from './chunk-cache.ts'
import type { BlobInfoCache } from './blob-info-cache.ts'
import { warnOf } from './warn.ts'

export interface DirectoryCacheOptions {
  /** Reports something missing or damaged in the cache. The build continues without it. */
  onWarning?(text: string): void
  /** Verified facts about its files, which save reading them again. */
  readonly index?: BlobInfoCache
  /**
   * Stores layers as they were compressed for the image, and their blocks for the next build. Other tools do not read those.
   */
  readonly compressed?: boolean
}

/** The volume layout that the Go lifecycle reads and writes: a generation of layers is one directory. */
const committed = 'committed'
const backup = 'committed-backup'
const staging = 'staging'
const metadataFile = 'io.buildpacks.lifecycle.cache.metadata'
const lockDir = '.lock'

const maxMetadata = 16 * 1024 * 1024
/** In milliseconds. Entries with an unknown owner count as in use for no longer than this. */
const abandonedAfter = 24 * 3600_000

/**
 * A cache in a directory. A generation is built in a directory of its own and replaces the previous one with two renames. If
 * the process dies between them, the previous one is found as the backup. Several builds may use the directory at once: each
 * commits a whole generation, and the last one stays.
 *
 * Another user may have written the content: reads are bounded, follow no link, and report every fault as a
 * warning. `begin`, `put` and `commit` throw a BaleError if the directory cannot be written. Then the previous generation is
 * untouched, and the caller continues without the new one.
 */
export function directoryCache(dir: string, options: DirectoryCacheOptions = {}): Cache {
  const description = `cache ${dir}`
  const warn = warnOf(description, options)
  return {
    description,

    async metadata(signal) {
      signal?.throwIfAborted()
      try {
        const generation = await currentGeneration(dir)
        if (generation === undefined) return undefined
        const path = join(generation, metadataFile)
        const bytes = await readSmall(path, maxMetadata)
        return bytes === undefined ? undefined : parseCacheMetadata(asText(bytes, path), path)
      } catch (error) {
        return warn('its metadata', error)
      }
    },

    async open(diffId, signal) {
      signal?.throwIfAborted()
      try {
        const path = await layerPath(dir, diffId)
        await using file = path === undefined ? undefined : await openRegular(path)
        if (path !== undefined && file !== undefined) return readLayer(path, diffId, signal)
        throw new BaleError('input', 'it is not there')
      } catch (error) {
        return warn(`the layer ${JSON.stringify(diffId.slice(0, 100))}`, error)
      }
    },

    async begin(signal) {
      signal?.throwIfAborted()
      return await wrapErrno(dir, async () => {
        const folder = join(dir, staging)
        await mkdir(dir, { recursive: true })
        await mkdir(folder).catch(async (error: unknown) => {
          if (!isErrno(error, 'EEXIST')) throw error
          if (!(await lstat(folder)).isDirectory())
            throw new BaleError('input', 'it is not a directory', { where: folder })
        })
        await sweep(folder)
        const own = join(folder, leaseName())
        await mkdir(own)
        const blocks = options.compressed ? await ChunkCache.open(await usableGeneration(dir), own) : undefined
        return cacheWriter(dir, own, options.index, blocks)
      })
    },
  }
}

function cacheWriter(dir: string, own: string, index?: BlobInfoCache, blocks?: ChunkCache): CacheWriter {
  const keep = async (diffId: Digest, signal?: AbortSignal): Promise<number | undefined> => {
    const reused = await takeOver(dir, own, diffId, index, signal)
    if (reused !== undefined) blocks?.carry(reused.file)
    return reused?.size
  }
  return {
    ...(blocks && { chunks: (compression, version) => blocks.recorder(compression, version) }),

    async put(source, signal) {
      signal?.throwIfAborted()
      const { known } = source
      if (known !== undefined) {
        const { diffId } = known
        const made = await blocks?.fileOf(diffId)
        if (made !== undefined) await index?.setFile(diffId, join(own, made.file))
        const size = made?.size ?? (await keep(diffId, signal))
        if (size !== undefined) return { diffId, size, reused: made === undefined }
      }
      await using file = await stageFile(own)
      const { diffId, size } = await writeTar(file, source, signal)
      // The same bytes are already on the disk, so the new copy is discarded.
      const reusedSize = known === undefined ? await keep(diffId, signal) : undefined
      if (reusedSize !== undefined) return { diffId, size: reusedSize, reused: true }
      const path = join(own, `${diffId}${extensions.none}`)
      await file.commit(path)
      await index?.setFile(diffId, path)
      return { diffId, size, reused: false }
    },

    async commit(metadata) {
      const json = Buffer.from(formatCacheMetadata(metadata))
      await replaceFile(join(own, metadataFile), json, own)
      await blocks?.save()
      await wrapErrno(dir, async () => {
        const outdated = await withLock(join(dir, lockDir), () => promote(dir, own))
        for (const path of outdated) await rm(path, { recursive: true, force: true }).catch(() => {}) // a later build removes it
      })
    },

    async [Symbol.asyncDispose]() {
      blocks?.close()
      await rm(own, { recursive: true, force: true }).catch(() => {})
    },
  }
}

/** Leaves entries in place that the system refuses to move. */
function unlessRefused(error: unknown): void {
  if (!isErrno(error)) throw error
}

/** Makes `own` the cache. The paths that it returns are obsolete. The caller holds the lock. */
async function promote(dir: string, own: string): Promise<string[]> {
  const [current, previous] = [join(dir, committed), join(dir, backup)]
  const outdated: string[] = []
  const moveAway = async (path: string): Promise<void> => {
    const aside = join(dir, staging, leaseName())
    await rename(path, aside)
    outdated.push(aside)
  }
  if (await exists(current)) {
    // A backup beside a generation was left by a process that died before it could delete it.
    if (await exists(previous)) await moveAway(previous).catch(unlessRefused)
    if (await exists(previous)) await moveAway(current)
    else await rename(current, previous)
  }
  try {
    await rename(own, current)
  } catch (error) {
    if (await exists(previous)) await rename(previous, current)
    throw error
  }
  await syncDirectory(dir)
  if (await exists(previous)) await moveAway(previous).catch(unlessRefused)
  return outdated
}

/**
 * Takes a layer over from the previous generation, without a copy. Returns undefined if that is not possible. Reads the
 * layer to verify it: a flipped bit would otherwise stay forever (C04). With an index that happens once, and again at each
 * restore: if that finds damage, the layer is made again and its tar replaced.
 */
async function takeOver(
  dir: string,
  own: string,
  diffId: Digest,
  index?: BlobInfoCache,
  signal?: AbortSignal,
): Promise<{ file: string; size: number } | undefined> {
  try {
    const path = await layerPath(dir, diffId)
    if (path === undefined) return undefined
    const { size } = await lstat(path)
    if ((await index?.hasFile(diffId, path)) !== true) {
      for await (const _chunk of readLayer(path, diffId, signal)) void _chunk
    }
    const file = basename(path)
    await link(path, join(own, file)).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error // the same layer was put twice
    })
    await index?.setFile(diffId, join(own, file))
    return { file, size }
  } catch (error) {
    signal?.throwIfAborted()
    // The tar is missing or damaged; or the file system or the file's owner allows no hard link (C12).
    if (error instanceof BaleError || isErrno(error)) return undefined
    throw error
  }
}

async function writeTar(
  file: StagedFile,
  source: LayerSource,
  signal?: AbortSignal,
): Promise<{ diffId: Digest; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of source.tar(signal)) {
    signal?.throwIfAborted()
    hash.update(chunk)
    size += chunk.length
    await file.write(chunk)
  }
  return { diffId: `sha256:${hash.digest('hex')}`, size }
}

/** Returns the tar, from either form. Its bytes are verified for readers that read to the end. */
async function* readLayer(path: string, diffId: Digest, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  await using file = await openRegular(path)
  if (file === undefined) throw new BaleError('input', 'it is not there', { where: path })
  const stored = readRange(file, 0, (await file.stat()).size, path, signal)
  const compression = compressions.find(form => path.endsWith(extensions[form])) ?? 'none'
  yield* decompress(stored, compression, { digest: diffId, signal })
}

/** Opens the generation to read: the backup, if a process died while it replaced the current one. */
async function currentGeneration(dir: string): Promise<string | undefined> {
  // Tries again, since the swap may have finished between the two checks.
  for (const name of [committed, backup, committed]) {
    const path = join(dir, name)
    const found = await wrapErrno(path, () => stat(path))
    if (found?.isDirectory()) return path
    if (found !== undefined) throw new BaleError('input', 'it is not a directory', { where: path })
  }
  return undefined
}

/** Like the above, but returns undefined if the path is not a cache. Reading or writing reports that. */
async function usableGeneration(dir: string): Promise<string | undefined> {
  return currentGeneration(dir).catch((error: unknown) => {
    if (error instanceof BaleError) return undefined
    throw error
  })
}

/** Returns the path of the layer: a compressed form if there is one, otherwise the tar, which may not exist. */
async function layerPath(dir: string, diffId: Digest): Promise<string | undefined> {
  if (!isDigest(diffId)) throw new BaleError('input', 'it is not a digest') // C05: a path in disguise
  const generation = await currentGeneration(dir)
  if (generation === undefined) return undefined
  const [plain = '', ...compressed] = compressions.map(form => join(generation, `${diffId}${extensions[form]}`))
  for (const path of compressed) if (await exists(path)) return path
  return plain
}

const compressions = ['none', 'gzip', 'zstd'] as const

/** Deletes the leftovers of killed writers. Files that cannot be deleted stay: they do no harm. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const owner = leaseState(name)
    const age = Date.now() - ((await stat(path))?.mtimeMs ?? 0)
    if (owner !== 'dead' && (owner === 'alive' || age < abandonedAfter)) continue
    await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path)) !== undefined
}

async function stat(path: string) {
  return lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  })
}

function asText(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new BaleError('input', 'it is not UTF-8', { where, cause })
  }
}
