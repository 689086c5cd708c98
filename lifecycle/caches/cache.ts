import type { Digest } from '../image/digest.ts'
import type { LayerSource } from '../image/layer.ts'
import type { CacheMetadata } from '../spec/types.ts'

/**
 * Layers stored between builds of one app (buildpack.md, "Cached Layers"). A fault in a cache costs time, never correctness:
 * `open` and `metadata` return undefined and warn if data is missing or damaged. `begin` and the writer throw a
 * BaleError if the cache cannot be written, and the previous generation stays.
 */
export interface Cache {
  readonly description: string
  /** Returns the metadata of the last build, or undefined if there is none that is usable. */
  metadata(signal?: AbortSignal): Promise<CacheMetadata | undefined>
  /**
   * Returns the uncompressed tar of a layer. A cache is hostile input: wrong bytes cause an error, at the end at the latest. A
   * reader that reads to the end has the right ones. Each chunk is valid until the next one is requested.
   */
  open(diffId: Digest, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>
  /** Starts the next generation. Layers that are neither put nor kept are dropped when it is committed. */
  begin(signal?: AbortSignal): Promise<CacheWriter>
}

export interface CacheWriter extends AsyncDisposable {
  /** Stores a layer, or reuses it from the previous generation. Returns its diffID and its size in bytes, as stored. */
  put(layer: LayerSource, signal?: AbortSignal): Promise<{ diffId: Digest; size: number; reused: boolean }>
  /**
   * Records the layers that this build makes (`LayerSource.chunks`), if the cache stores layers as they are compressed.
   * `put` need not make a recorded layer again.
   */
  readonly chunks?: LayerSource['chunks']
  /** Makes the new generation the cache, in one step. Disposal without a commit leaves the old one as it was. */
  commit(metadata: CacheMetadata): Promise<void>
}
