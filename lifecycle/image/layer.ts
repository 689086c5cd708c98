import type { Digest } from './digest.ts'
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
  /** The bytes as stored, from the start. The reader verifies nothing: whoever stores or unpacks them does. */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The repository it was found in, so that a registry can mount it from there instead of being sent it. */
  readonly repository?: Reference
}

/** Two sources with the same key have the same tar. */
export interface Fingerprint {
  readonly key: string
  /** Of the tree alone, wherever it is and goes to. */
  readonly tree: string
}

/** A layer still to be made: its tar can be produced, more than once and with the same bytes each time. */
export interface LayerSource {
  /** For the image's history and for messages: `Layer: 'node', Created by buildpack: bale/nodejs@0.1.0`. */
  readonly createdBy: string
  /** Its digests, if somebody already knows them; a store that has the blob then need not read the tar. */
  readonly known?: LayerDigests
  /** Tells it from all other sources without reading it; undefined if that cannot be. */
  fingerprint?(): Promise<Fingerprint | undefined>
  /** Each chunk is good until the next one is asked for: copy what is to stay. */
  tar(signal?: AbortSignal): AsyncIterable<Uint8Array>
}
