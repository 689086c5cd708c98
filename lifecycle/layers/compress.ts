import { createHash } from 'node:crypto'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, LayerSource } from '../image/layer.ts'
import { type Compression, layerMediaType } from '../image/media-types.ts'
import { deflateVersion } from './deflate/index.ts'
import { inParallel } from './deflate/pool.ts'
import { blockFolder } from './block-cache.ts'
import { gzip } from './gzip.ts'

export { decompress } from './decompress.ts'
export { verified } from './verify.ts'

export interface CompressOptions {
  /** gzip unless told. */
  compression?: Compression | undefined
  /** A directory that keeps compressed blocks: of a layer that has changed a little, most need not be compressed again. */
  blockCache?: string | undefined
  signal?: AbortSignal | undefined
}

/**
 * Makes a layer's bytes in one pass: tar, hash, compress, hash, write. The bytes depend on the tar and the compression
 * alone (for zstd also on Node's version of it), never on how many threads there are, how the tar comes in pieces or what is
 * in the cache.
 * @param write is awaited before the next piece is made
 */
export async function compressLayer(
  source: LayerSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { compression = 'gzip', blockCache, signal }: CompressOptions = {},
): Promise<LayerDigests> {
  const tar = new Tap(source.tar(signal))
  const folder = blockCache === undefined ? undefined : blockFolder(blockCache, await versions[compression]())
  const stored = new Tap(compressors[compression](tar, folder))
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

type Compress = (tar: AsyncIterable<Uint8Array>, folder?: string) => AsyncIterable<Uint8Array>

/** To be raised by whoever changes which bytes a layer has: how it is packed, or where its blocks are cut. */
const packing = 2

/** What the bytes of a layer depend on besides its files. What is known of layers in another format says nothing of ours. */
export async function layerFormat(compression: Compression): Promise<string> {
  return `${packing} ${compression} ${await versions[compression]()}`
}

const compressors: Record<Compression, Compress> = {
  async *none(tar) {
    // A source may overwrite its chunks, and a destination may still be sending them.
    for await (const chunk of tar) yield Buffer.from(chunk)
  },
  gzip,
  zstd: (tar, folder) => inParallel(tar, { compression: 'zstd', ...(folder !== undefined && { folder }) }),
}

/** What tells the compressor from those that make other bytes of the same. */
const versions: Record<Compression, () => string | Promise<string>> = {
  none: () => 'none',
  gzip: async () => `gzip-${await deflateVersion()}`,
  zstd: () => `zstd-${process.versions['zstd'] ?? process.version}`,
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
