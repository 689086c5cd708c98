import { createHash } from 'node:crypto'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, LayerSource } from '../image/layer.ts'
import { type Compression, layerMediaType } from '../image/media-types.ts'
import { gzip } from './gzip.ts'
import { zstd } from './zstd.ts'

export { decompress } from './decompress.ts'
export { verified } from './verify.ts'

export interface CompressOptions {
  compression: Compression
  signal?: AbortSignal
}

/**
 * Makes a layer's bytes in one pass: tar, hash, compress, hash, write. The bytes depend on the tar and the compression
 * alone (for zstd also on Node's version of it), never on how many threads there are or how the tar comes in pieces.
 * @param write is awaited before the next piece is made
 */
export async function compressLayer(
  source: LayerSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { compression, signal }: CompressOptions,
): Promise<LayerDigests> {
  const tar = new Tap(source.tar(signal))
  const stored = new Tap(compressors[compression](tar))
  for await (const chunk of stored) {
    signal?.throwIfAborted()
    await write(chunk)
  }
  return {
    diffId: tar.digest(),
    digest: stored.digest(),
    size: stored.size,
    mediaType: layerMediaType(compression),
  }
}

const compressors: Record<Compression, (tar: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>> = {
  none: tar => tar,
  gzip,
  zstd,
}

/** Passes bytes on, and knows their number and hash afterwards. */
class Tap implements AsyncIterable<Uint8Array> {
  readonly #bytes: AsyncIterable<Uint8Array>
  readonly #hash = createHash('sha256')
  size = 0

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = bytes
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#bytes) {
      this.#hash.update(chunk)
      this.size += chunk.length
      yield chunk
    }
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}
