import type { Digest } from './digest.ts'
import type { Compression } from './media-types.ts'
import type { Reference } from './reference.ts'

/** Both digests of a layer, its size in bytes as stored, and how it is compressed. */
export interface LayerDigests {
  /** Of the uncompressed tar: the layer's identity in the image config. */
  readonly diffId: Digest
  /** Of the bytes as stored: the layer's identity in the manifest. */
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string
}

/** A layer that exists somewhere. Only its bytes are lazy. */
export interface Layer extends LayerDigests {
  readonly kind: 'layer'
  /**
   * The bytes as stored, from the start, in chunks that are the reader's to keep. This need not verify them: whoever stores or
   * unpacks them does.
   */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The repository it was found in, so that a registry can mount it from there instead of being sent it. */
  readonly repository?: Reference
  /**
   * Set where the stored bytes are not known before they are read, as for a layer that only a daemon has: `digest` is the diffID
   * then and `size` an estimate. A store makes a layer of its own from this.
   */
  readonly source?: LayerSource
}

/** What a store makes its layer from: the layer as it is, or the tar where the stored bytes are not known. */
export function storedOrSource(layer: LayerSource | Layer): LayerSource | Layer {
  return layer.kind === 'layer' ? (layer.source ?? layer) : layer
}

/** Two sources with the same key have the same tar. */
export interface Fingerprint {
  readonly key: string
  /** Of the tree alone, wherever it is and goes to. */
  readonly tree: string
}

/**
 * Keeps what a layer is compressed to for the next time, and gives back what its blocks were compressed to before. Its faults
 * cost time only: it has less, or keeps nothing.
 */
export interface ChunkRecorder extends AsyncDisposable {
  /** The same for two blocks only if they are equal. */
  keyOf(block: Uint8Array): string
  /** Puts what the block with this key was compressed to there, if it is here and undamaged; of how many bytes it is. */
  find(key: string, into: Uint8Array): number | undefined
  /** The next bytes of the layer; with a key, they are what the block with that key was compressed to. Copies what is to stay. */
  write(bytes: Uint8Array, key?: string): Promise<void>
  /** Nothing is kept of a layer that does not come to its end. What this starts, the recorder's owner waits for. */
  finish(layer: LayerDigests): void
}

/** A layer still to be made: its tar can be produced, more than once and with the same bytes each time. */
export interface LayerSource {
  readonly kind: 'source'
  /** For the image's history and for messages: `Layer: 'node', Created by buildpack: bale/nodejs@0.1.0`. */
  readonly createdBy: string
  /** Its digests, if somebody already knows them; a store that has the blob then need not read the tar. */
  readonly known?: LayerDigests
  /** Tells it from all other sources without reading it; undefined if that cannot be. */
  fingerprint?(): Promise<Fingerprint | undefined>
  /**
   * What keeps the layer once it has been compressed.
   * @param version of the compressor: another one may make other bytes of the same
   */
  chunks?(compression: Compression, version: string): ChunkRecorder
  /** Each chunk is good until the next one is asked for: copy what is to stay. */
  tar(signal?: AbortSignal): AsyncIterable<Uint8Array>
}
