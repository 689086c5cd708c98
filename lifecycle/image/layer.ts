import type { Digest } from './digest.ts'
import type { Compression } from './media-types.ts'
import type { Reference } from './reference.ts'

/** Both digests of a layer, its size in bytes as stored, and its compression. */
export interface LayerDigests {
  /** Of the uncompressed tar. Identifies the layer in the image config. */
  readonly diffId: Digest
  /** Of the bytes as stored. Identifies the layer in the manifest. */
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string
}

/** A layer that exists somewhere. Only its bytes are lazy. */
export interface Layer extends LayerDigests {
  readonly kind: 'layer'
  /**
   * The bytes as stored, from the start. The reader may keep the chunks. They need not be verified: the code that stores or
   * unpacks them verifies them.
   */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The repository that has the layer, so that a registry can mount it from there. */
  readonly repository?: Reference
  /**
   * Set where the stored bytes are not known before they are read, as for a layer that only a daemon has: `digest` is the
   * diffID
   * then and `size` an estimate. A store makes a layer of its own from this.
   */
  readonly source?: LayerSource
}

/** What a store makes its layer from: the layer as it is, or the tar where the stored bytes are not known. */
export function storedOrSource(layer: LayerSource | Layer): LayerSource | Layer {
  return layer.kind === 'layer' ? (layer.source ?? layer) : layer
}

/** Two sources with the same fingerprint have the same tar. */
export interface Fingerprint {
  /** Of the files, independent of their path on the host and in the image. */
  readonly tree: string
  /** Of everything else that is in the tar: the path in the image, the owner, the version that writes it. */
  readonly place: string
}

/**
 * Records the compressed blocks of a layer for later builds, and finds those of earlier ones. Faults cost time only: a block
 * is not found, or nothing is recorded.
 */
export interface ChunkRecorder extends AsyncDisposable {
  /** Equal for equal blocks only. */
  keyOf(block: Uint8Array): string
  /**
   * Copies the compressed form of the block with this key into `into`. @returns its length, or undefined if it is absent or
   * damaged
   */
  find(key: string, into: Uint8Array): number | undefined
  /** Records the next bytes of the layer. With a key, they are the compressed form of that block. Copies what it keeps. */
  write(bytes: Uint8Array, key?: string): Promise<void>
  /** Ends the layer. A layer that is not finished is not recorded. The recorder's owner waits for the work that this starts. */
  finish(layer: LayerDigests): void
}

/** A layer that is still to be made. Its tar can be read more than once, with the same bytes each time. */
export interface LayerSource {
  readonly kind: 'source'
  /** For the image's history and for messages: `Layer: 'node', Created by buildpack: bale/nodejs@0.1.0`. */
  readonly createdBy: string
  /** Its digests, if they are known already. A store that has the blob then need not read the tar. */
  readonly known?: LayerDigests
  /** Identifies the source without reading its tar; undefined if that is not possible. */
  fingerprint?(): Promise<Fingerprint | undefined>
  /**
   * The recorder for the compressed layer.
   * @param version of the compressor, since another version may compress to other bytes
   */
  chunks?(compression: Compression, version: string): ChunkRecorder
  /** A chunk is valid until the next one is requested. Copy what must stay. */
  tar(signal?: AbortSignal): AsyncIterable<Uint8Array>
}
