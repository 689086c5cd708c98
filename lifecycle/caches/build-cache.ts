import { settleAll } from '../concurrency.ts'
import type { Reporter } from '../events.ts'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, LayerSource } from '../image/layer.ts'
import { oci } from '../image/media-types.ts'
import { BaleError, isErrno } from '../errors.ts'
import { layerFormat } from '../layers/compression/compress.ts'
import type { Packing } from '../layers/compression/packing.ts'
import type { Owner } from '../layers/tree/entries.ts'
import { fingerprintTree } from '../layers/tree/fingerprint.ts'
import { unpackTree } from '../layers/tree/unpack.ts'
import type { CacheMetadata } from '../spec/types.ts'
import type { BlobInfoCache } from './blob-info-cache.ts'
import type { Cache, CacheWriter } from './cache.ts'
import type { CachedTree, CachedTrees } from './cached-trees.ts'
import { putKnownLayer } from './known-layers.ts'
import { RequiredCacheError } from './shared.ts'

/** The parts of a build cache, all optional. Without parts, nothing is reused or stored. */
export interface BuildCacheParts {
  /** Cached layers as tars, in a directory or an image. */
  readonly layers?: Cache
  /** Digests of layers by the fingerprint of their files. */
  readonly blobInfo?: BlobInfoCache
  /** Cached layers as directories, which need not be unpacked. */
  readonly trees?: CachedTrees
  /** Marks the cache as in use; released with it. */
  readonly lease?: AsyncDisposable
}

/** Stores a layer, and returns its stored form. */
type Put<T extends LayerDigests> = (source: LayerSource) => Promise<T>

/**
 * Everything that one build of an app stores for the next one. A build opens it once, restores layers from it, makes layers
 * through it, and commits it once. A fault costs time, never correctness: reading throws a BaleError for the layer
 * concerned, and a cache that cannot be written causes one warning.
 */
export class BuildCache implements AsyncDisposable {
  readonly #layers: Cache | undefined
  readonly #blobInfo: BlobInfoCache | undefined
  readonly #trees: CachedTrees | undefined
  readonly #lease: AsyncDisposable | undefined
  readonly #reporter: Reporter
  #writer: CacheWriter | undefined
  readonly #checkedIn: CachedTree[] = []
  readonly #unpacked: { readonly diffId: Digest; readonly dir: string }[] = []

  constructor({ layers, blobInfo, trees, lease }: BuildCacheParts, reporter: Reporter) {
    this.#layers = layers
    this.#blobInfo = blobInfo
    this.#trees = trees
    this.#lease = lease
    this.#reporter = reporter
  }

  /** Starts to check the cached trees while the caller does something else. */
  prefetch(): void {
    this.#trees?.prefetch()
  }

  /** Returns the metadata of the last build, or undefined if there is none that is usable. */
  async metadata(signal?: AbortSignal): Promise<CacheMetadata | undefined> {
    return this.#layers?.metadata(signal)
  }

  /**
   * Puts the contents of a cached layer at `to`.
   * @param place `from`: the path of the layer's entries; `within`: see HostPlace; `owner`: the owner of new files, if root
   * restores for another user
   * @throws BaleError if the layer is missing or damaged; then `to` does not exist
   */
  async restore(
    diffId: Digest,
    place: { from: string; to: string; within?: string; owner?: Owner | undefined },
    signal?: AbortSignal,
  ): Promise<void> {
    if (await this.#trees?.checkout(diffId, place.to)) return
    const tar = await this.open(diffId, signal)
    if (tar === undefined) throw new BaleError('input', 'it is not in the cache')
    await unpackTree(tar, { ...place, signal })
    this.#unpacked.push({ diffId, dir: place.to })
  }

  /**
   * Records the fingerprints of the unpacked trees: trees that the build does not change need not be read for export. The trees are
   * still unchanged only before a buildpack runs, so call this first.
   */
  async recordRestored(): Promise<void> {
    const index = this.#blobInfo
    const known = this.#unpacked.splice(0).filter(({ diffId }) => index?.hasContent(diffId))
    if (index === undefined || known.length === 0) return
    // All at once: each may have to wait for a tick of the clock.
    await settleAll(
      known.map(async ({ diffId, dir }) => {
        const tree = await fingerprintTree(dir).catch(unlessFilesystem)
        if (tree !== undefined) index.setContent(diffId, tree)
      }),
    )
  }

  /**
   * Saves the records of `recordRestored`, for phases in other processes. A build in one process saves them with the
   * cache: until then, nothing of an earlier build is changed.
   */
  async saveRecords(): Promise<void> {
    await this.#blobInfo?.saveContent().catch(unlessFilesystem)
  }

  /** The verified tar of a cached layer; see `Cache.open`. */
  async open(diffId: Digest, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#layers?.open(diffId, signal)
  }

  /**
   * Starts the next generation. If it cannot be written, warns with the reason, and writes nothing for the rest of the
   * build.
   */
  async begin(signal?: AbortSignal): Promise<void> {
    await this.#unlessRefused(signal, async () => {
      this.#writer = await this.#layers?.begin(signal)
    })
  }

  /**
   * Stores a layer of the image with `put`. A layer whose files have not changed has known digests and need not be read.
   * Chunks that an earlier build compressed need not be compressed again.
   */
  async storeLayer<T extends LayerDigests>(source: LayerSource, packing: Packing, put: Put<T>): Promise<T> {
    const chunks = this.#writer?.chunks
    return putKnownLayer(source, `image ${await layerFormat(packing)}`, this.#blobInfo, known =>
      put(chunks === undefined ? known : { ...known, chunks }),
    )
  }

  /**
   * Commits the next generation, if one was begun: `write` stores layers with `keep` and returns the metadata. A failure is
   * a warning, since the image is published by now.
   * @throws RequiredCacheError for a cache that had to be written
   */
  async commit(write: (keep: KeepLayer) => Promise<CacheMetadata>, signal?: AbortSignal): Promise<void> {
    const writer = this.#writer
    if (writer === undefined) return
    await this.#unlessRefused(signal, async () => {
      const metadata = await write((source, from) => this.#keep(writer, source, from, signal))
      await writer.commit(metadata)
      await this.#trees?.checkin(this.#checkedIn)
      await this.#blobInfo?.save()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]()
    await this.#lease?.[Symbol.asyncDispose]()
  }

  async #keep(
    writer: CacheWriter,
    source: LayerSource,
    { exported, dir }: Parameters<KeepLayer>[1],
    signal?: AbortSignal,
  ): ReturnType<KeepLayer> {
    const stored = await this.#put(writer, source, exported, signal)
    const fingerprint = dir !== undefined && this.#trees ? await source.fingerprint?.() : undefined
    if (fingerprint && dir !== undefined)
      this.#checkedIn.push({ diffId: stored.diffId, path: dir, fingerprint: fingerprint.tree })
    return stored
  }

  async #put(
    writer: CacheWriter,
    source: LayerSource,
    exported: LayerDigests | undefined,
    signal?: AbortSignal,
  ): ReturnType<CacheWriter['put']> {
    if (exported !== undefined) return writer.put({ ...source, known: exported }, signal)
    return putKnownLayer(source, `cache ${await layerFormat({ compression: 'none' })}`, this.#blobInfo, async known => {
      const stored = await writer.put(known, signal)
      return { ...stored, digest: stored.diffId, mediaType: oci.layer }
    })
  }

  async #unlessRefused(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof RequiredCacheError) throw error
      const text = `the cache could not be written, so the next build takes longer: ${(error as Error).message}`
      this.#reporter.event({ type: 'warning', text })
    }
  }
}

/** A failure to record only costs time: the layer is read again. */
function unlessFilesystem(error: unknown): undefined {
  if (!(error instanceof BaleError) && !isErrno(error)) throw error
}

/**
 * Stores a layer for the next build.
 * @param from `exported`: the layer's digests if it is also in the image; `dir`: its directory, to be checked in as a tree
 */
export type KeepLayer = (
  source: LayerSource,
  from: { readonly exported?: LayerDigests | undefined; readonly dir?: string },
) => ReturnType<CacheWriter['put']>
