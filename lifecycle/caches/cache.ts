import type { Digest } from '../image/digest.ts'
import type { LayerSource } from '../image/layer.ts'
import type { CacheMetadata } from '../spec/types.ts'

/**
 * Layers kept between builds of one app (buildpack.md, "Cached Layers"). A fault in a cache costs time, never
 * correctness: `open` and `metadata` answer undefined and warn where something is missing or damaged; `begin` and the
 * writer throw a BaleError where nothing can be written, and what was cached before stays.
 */
export interface Cache {
  readonly description: string
  /** What the last build stored; undefined if nothing, or nothing usable. */
  metadata(signal?: AbortSignal): Promise<CacheMetadata | undefined>
  /**
   * The uncompressed tar of a layer. A cache is hostile input: other bytes are an error, at the end at the latest, so that
   * whoever reads to the end has the right ones. Each chunk is good until the next one is asked for.
   */
  open(diffId: Digest, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>
  /** Starts the next generation; what is neither put nor kept is dropped when it is committed. */
  begin(signal?: AbortSignal): Promise<CacheWriter>
}

export interface CacheWriter extends AsyncDisposable {
  /** Stores a layer, or keeps it if the previous generation has it; returns its diffID and its size in bytes, as stored. */
  put(layer: LayerSource, signal?: AbortSignal): Promise<{ diffId: Digest; size: number; reused: boolean }>
  /**
   * For the layers that this build makes (`LayerSource.chunks`), if layers are kept as they are compressed: what it has got
   * that way `put` need not make again.
   */
  readonly chunks?: LayerSource['chunks']
  /** Makes the new generation the cache, in one step. Without it, disposal leaves the old one as it was. */
  commit(metadata: CacheMetadata): Promise<void>
}
