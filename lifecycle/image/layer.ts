import type { Digest } from './digest.ts'
import type { Compression } from './media-types.ts'
import type { Reference } from './reference.ts'

/** Both digests of a layer, its size in bytes as stored, and its compression. */
export interface LayerDigests {
  /** The digest of the uncompressed tar. Identifies the layer in the image config. */
  readonly diffId: Digest
  /** The digest of the stored bytes. Identifies the layer in the manifest. */
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
   * Set if the stored bytes are unknown before they are read, as for a layer that only a daemon has. Then `digest` is the
   * diffID
   * and `size` an estimate. A store makes its own layer from this.
   */
  readonly source?: LayerSource
}

/** Returns what a store makes its layer from: the layer itself or, if the stored bytes are unknown, the source. */
export function storedOrSource(layer: LayerSource | Layer): LayerSource | Layer {
  return layer.kind === 'layer' ? (layer.source ?? layer) : layer
}

/** Two sources with the same fingerprint have the same tar. */
export interface Fingerprint {
  /** Fingerprint of the files, independent of their path on the host and in the image. */
  readonly tree: string
  /** Fingerprint of everything else in the tar: the path in the image, the owner, the version of the tar writer. */
  readonly place: string
}

/**
 * Records the compressed blocks of a layer for later builds, and finds those of earlier ones. Faults only cost time: a block
 * is not found, or nothing is recorded.
 */
export interface ChunkRecorder extends AsyncDisposable {
  /** Equal only for equal blocks. */
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

/** A layer to be made. Its tar can be read more than once, with the same bytes each time. */
export interface LayerSource {
  readonly kind: 'source'
  /** For the image's history and for messages: `Layer: 'node', Created by buildpack: bale/nodejs@0.1.0`. */
  readonly createdBy: string
  /** Its digests, if already known. Then a store that has the blob need not read the tar. */
  readonly known?: LayerDigests
  /** Identifies the source without reading its tar; undefined if that is not possible. */
  fingerprint?(): Promise<Fingerprint | undefined>
  /**
   * The recorder for the compressed layer.
   * @param version the compressor's version, since another one may make different bytes
   */
  chunks?(compression: Compression, version: string): ChunkRecorder
  /** A chunk is valid until the next one is requested. Copy chunks to keep them. */
  tar(signal?: AbortSignal): AsyncIterable<Uint8Array>
}
