import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { BaleError } from '../../errors.ts'
import { inOrder } from '../../concurrency.ts'
import { type Digest, digestOf, hexOf, isDigest } from '../../image/digest.ts'
import type { LayerSource } from '../../image/layer.ts'
import { verified } from '../../layers/compression/verify.ts'
import { formatCacheMetadata, parseCacheMetadata } from '../../spec/labels.ts'
import type { Cache, CacheWriter } from '../cache.ts'
import { LastRead } from '../last-read.ts'
import type { ObjectStorage } from '../storage/storage.ts'
import { warnOf } from '../warn.ts'
import { type Chunk, type Generation, formatGeneration, maxGeneration, parseGeneration } from './generation.ts'
import { largestChunk, splitTar } from './split.ts'

export interface ChunkedCacheOptions {
  /** Reports something missing or damaged in the cache. The build continues without it. */
  onWarning?(text: string): void
  /** How long a generation is used after it was stored, in milliseconds. Without a limit by default. */
  readonly timeToLive?: number | undefined
  /** The largest generation, in bytes as stored. */
  readonly maxSize?: number | undefined
  /** Milliseconds since 1970; the clock, for tests. */
  readonly now?: (() => number) | undefined
}

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
const level = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }
/** The numbers of concurrent requests, which mostly wait. */
const [parallelWrites, parallelReads] = [16, 8]

/**
 * A cache of one app in an object storage that many apps share. Layers are stored as chunks, each an object that is named
 * after its contents: apps with the same packages store and send them once. A generation is one object that lists the
 * chunks of its layers. It is replaced in one step, so of several writers the last one's stays, complete. Nothing is deleted
 * here; the storage's own expiry does that.
 *
 * Data from the storage is hostile: chunks are verified by their digests and layers by their diffIDs.
 * @param name identifies the app
 */
export function chunkedCache(storage: ObjectStorage, name: string, options: ChunkedCacheOptions = {}): Cache {
  const { description } = storage
  const now = options.now ?? Date.now
  const key = generationKey(name)
  const damaged = new Set<Digest>() // diffIDs, and digests of chunks
  const warn = warnOf(description, options)
  const current = new LastRead(async signal => {
    const bytes = await storage.get(key, maxGeneration, signal)
    const generation = bytes && parseGeneration(bytes)
    return generation?.expires !== undefined && generation.expires <= now() ? undefined : generation
  })

  return {
    description,

    async metadata(signal) {
      signal?.throwIfAborted()
      try {
        const generation = await current.again(signal)
        return generation && parseCacheMetadata(generation.metadata, description)
      } catch (error) {
        return warn('its metadata', error, signal)
      }
    },

    async open(diffId, signal) {
      signal?.throwIfAborted()
      try {
        if (!isDigest(diffId)) throw new BaleError('input', 'it is not a digest') // C05
        const chunks = (await current.get(signal))?.layers.get(diffId)
        if (chunks === undefined) throw new BaleError('input', 'it is not there')
        const onDamage = (digest: Digest): void => {
          damaged.add(digest)
          current.forget()
        }
        return readLayer(storage, diffId, chunks, onDamage, signal)
      } catch (error) {
        return warn(`the layer ${JSON.stringify(diffId.slice(0, 100))}`, error, signal)
      }
    },

    async begin(signal) {
      signal?.throwIfAborted()
      const previous = await current.again(signal).catch((error: unknown) => {
        signal?.throwIfAborted()
        if (error instanceof BaleError && error.code === 'input') return undefined
        throw error
      })
      // A user without write permission gets the error here, before anything is compressed.
      await storage.put('format', Buffer.from('bale cache 1\n'), signal)
      return new ChunkedCacheWriter(storage, { ...options, now, previous, damaged }, async generation => {
        await storage.put(key, formatGeneration(generation))
        current.forget()
      })
    },
  }
}

interface WriterOptions extends ChunkedCacheOptions {
  readonly now: () => number
  readonly previous: Generation | undefined
  /** Layers and chunks that were found damaged; they are stored again. */
  readonly damaged: Set<Digest>
}

class ChunkedCacheWriter implements CacheWriter {
  readonly #storage: ObjectStorage
  readonly #options: WriterOptions
  readonly #store: (generation: Generation) => Promise<void>
  readonly #layers = new Map<Digest, readonly Chunk[]>()
  /** The size of each chunk that is known to be stored, or is being stored. */
  readonly #present = new Map<Digest, Promise<number>>()

  constructor(storage: ObjectStorage, options: WriterOptions, store: (generation: Generation) => Promise<void>) {
    this.#storage = storage
    this.#options = options
    this.#store = store
  }

  async put(source: LayerSource, signal?: AbortSignal): ReturnType<CacheWriter['put']> {
    signal?.throwIfAborted()
    const { previous, damaged } = this.#options
    const known = source.known?.diffId
    const stored = known === undefined ? undefined : (this.#layers.get(known) ?? previous?.layers.get(known))
    if (known !== undefined && stored !== undefined && !damaged.has(known) && (await this.#has(stored, signal)))
      return this.#add(known, stored, true)
    const { diffId, chunks, sent } = await this.#send(source, signal)
    const before = this.#layers.get(diffId) ?? previous?.layers.get(diffId)
    const reused = sent === 0 && before !== undefined && sameChunks(before, chunks)
    damaged.delete(diffId)
    return this.#add(diffId, chunks, reused)
  }

  async commit(metadata: Parameters<CacheWriter['commit']>[0]): Promise<void> {
    const { timeToLive, now } = this.#options
    const expires = timeToLive === undefined ? undefined : now() + timeToLive
    await this.#store({ expires, metadata: formatCacheMetadata(metadata), layers: this.#layers })
  }

  // Chunks of an uncommitted generation are in no list. The next build may find and use them.
  async [Symbol.asyncDispose]() {}

  #add(diffId: Digest, chunks: readonly Chunk[], reused: boolean) {
    this.#layers.set(diffId, chunks)
    const { maxSize } = this.#options
    const total = new Map([...this.#layers.values()].flat().map(([digest, , stored]) => [digest, stored]))
    if (maxSize !== undefined && sum(total.values()) > maxSize)
      throw new BaleError('cache', `the layers to store have more than the ${maxSize} bytes that it may hold`, {
        where: this.#storage.description,
        fix: 'raise max-size, or use a cache of another type',
      })
    return { diffId, size: sum(chunks.map(([, , stored]) => stored)), reused }
  }

  async #has(chunks: readonly Chunk[], signal?: AbortSignal): Promise<boolean> {
    const sizes = await inOrder(chunks, parallelWrites, async ([digest, , stored]) => {
      if (this.#options.damaged.has(digest)) return false
      return (await (this.#present.get(digest) ?? this.#storage.size(chunkKey(digest), signal))) === stored
    })
    return sizes.every(Boolean)
  }

  async #send(source: LayerSource, signal?: AbortSignal) {
    const hash = createHash('sha256')
    const chunks: Promise<Chunk>[] = []
    const busy = new Set<Promise<unknown>>()
    let sent = 0
    const { damaged } = this.#options
    const send = async (digest: Digest, bytes: Uint8Array): Promise<number> => {
      const there = damaged.has(digest) ? 0 : await this.#storage.size(chunkKey(digest), signal)
      if (there) return there // an empty object counts as absent
      const object = await compress(bytes, level)
      await this.#storage.put(chunkKey(digest), object, signal)
      damaged.delete(digest)
      sent++
      return object.length
    }
    try {
      for await (const bytes of splitTar(source.tar(signal))) {
        signal?.throwIfAborted()
        hash.update(bytes)
        const digest = digestOf(bytes)
        const size = this.#present.get(digest) ?? send(digest, bytes)
        this.#present.set(digest, size)
        chunks.push(size.then(stored => [digest, bytes.length, stored] as const))
        chunks.at(-1)?.catch(() => {}) // thrown below
        const settled: Promise<void> = size.catch(() => {}).then(() => void busy.delete(settled))
        busy.add(settled)
        if (busy.size >= parallelWrites) await Promise.race(busy)
      }
    } finally {
      await Promise.allSettled(busy)
      // A chunk that was not sent may be sent by the next layer that has it.
      for (const [digest, size] of this.#present) await size.catch(() => this.#present.delete(digest))
    }
    const diffId: Digest = `sha256:${hash.digest('hex')}`
    return { diffId, chunks: await Promise.all(chunks), sent }
  }
}

/** The tar of a layer from its chunks, some of which are read ahead. */
async function* readLayer(
  storage: ObjectStorage,
  diffId: Digest,
  chunks: readonly Chunk[],
  onDamage: (digest: Digest) => void,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const ahead: Promise<Uint8Array>[] = []
  const read = async function* (): AsyncGenerator<Uint8Array> {
    for (let next = 0, at = 0; at < chunks.length; at++) {
      for (; next < chunks.length && next < at + parallelReads; next++) {
        const reading = readChunk(storage, chunks[next] as Chunk, onDamage, signal)
        reading.catch(() => {}) // thrown at its place in the order
        ahead.push(reading)
      }
      signal?.throwIfAborted()
      yield await (ahead.shift() as Promise<Uint8Array>)
    }
  }
  try {
    yield* verified(read(), { digest: diffId })
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof BaleError && error.code === 'input') onDamage(diffId)
    throw error
  } finally {
    await Promise.allSettled(ahead)
  }
}

async function readChunk(
  storage: ObjectStorage,
  [digest, size]: Chunk,
  onDamage: (digest: Digest) => void,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const wrong = (how: string, cause?: unknown): BaleError => {
    onDamage(digest)
    return new BaleError('input', `the chunk ${digest} ${how}`, { where: storage.description, cause })
  }
  const object = await storage.get(chunkKey(digest), 2 * largestChunk, signal)
  if (object === undefined) throw wrong('is missing')
  const bytes = await decompress(object, { maxOutputLength: size }).catch((cause: unknown) => {
    throw wrong('is damaged', cause)
  })
  if (digestOf(bytes) !== digest) throw wrong('has other bytes')
  return bytes
}

/** An object's key has only the characters of `ObjectStorage`, and differs for names that would become equal that way. */
export function generationKey(name: string): string {
  const readable = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .slice(-60)
  return `apps/${readable}-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

export const chunkKey = (digest: Digest): string => `chunks/${hexOf(digest).slice(0, 2)}/${hexOf(digest)}`

const sameChunks = (a: readonly Chunk[], b: readonly Chunk[]): boolean =>
  a.length === b.length && a.every(([digest], i) => digest === b[i]?.[0])

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0)
