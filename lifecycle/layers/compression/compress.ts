import { createHash } from 'node:crypto'
import type { LayerDigests, ChunkRecorder, LayerSource } from '../../image/layer.ts'
import { type Compression, layerMediaType } from '../../image/media-types.ts'
import { maxBlock, blockBuffers } from '../workers/block-buffers.ts'
import type { Piece, TarSummary } from './blocks.ts'
import { deflateVersion } from './deflate/index.ts'
import { inParallel, shareOf } from './pool.ts'
import { TarDigester } from './digester.ts'
import { gzip } from './gzip.ts'
import { zstdVersion } from './zstd.ts'

export interface CompressOptions {
  /** gzip unless told. */
  compression?: Compression | undefined
  signal?: AbortSignal | undefined
}

/**
 * Makes a layer's bytes in one pass: tar, hash, compress, hash, write; the source's recorder gets them as well. The bytes
 * depend on the tar and the compression alone (for zstd also on Node's version of it), never on how many threads there are,
 * how the tar comes in pieces or what the recorder has.
 * @param write is awaited before the next piece comes; a few more are made meanwhile. The chunk is good until it
 * ends: copy what is to stay
 */
export async function compressLayer(
  source: LayerSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { compression = 'gzip', signal }: CompressOptions = {},
): Promise<LayerDigests> {
  await using recorder = source.chunks?.(compression, await versions[compression]())
  const hash = createHash('sha256')
  let size = 0
  const end: { tar?: TarSummary } = {}
  const pieces = async function* (): AsyncGenerator<Piece> {
    end.tar = yield* compressors[compression](source.tar(signal), recorder)
  }
  for await (const piece of ahead(pieces(), () => shareOf(piecesAhead))) {
    const { bytes, key } = piece
    signal?.throwIfAborted()
    hash.update(bytes)
    size += bytes.length
    await Promise.all([write(bytes), recorder?.write(bytes, key)])
    piece.done?.()
  }
  const { diffId } = end.tar as TarSummary
  const mediaType = layerMediaType(compression)
  const layer: LayerDigests = { diffId, digest: `sha256:${hash.digest('hex')}`, size, mediaType }
  recorder?.finish(layer)
  return layer
}

/** Some MB: as much as is made while a piece is written, and no more than a slow destination may make us hold. */
const piecesAhead = 4

/** To be raised by whoever changes which bytes a layer has: how it is packed, or where its blocks are cut. */
const packing = 4

/** What the bytes of a layer depend on besides its files. What is known of layers in another format says nothing of ours. */
export async function layerFormat(compression: Compression): Promise<string> {
  return `${packing} ${compression} ${await versions[compression]()}`
}

type Compress = (tar: AsyncIterable<Uint8Array>, recorder?: ChunkRecorder) => AsyncGenerator<Piece, TarSummary>

const compressors: Record<Compression, Compress> = {
  async *none(tar) {
    const digester = new TarDigester()
    for await (const chunk of tar) {
      digester.update(chunk)
      // A source may overwrite its chunks while a destination is still sending them.
      for (let at = 0; at < chunk.length; at += maxBlock) {
        const part = chunk.subarray(at, at + maxBlock)
        const copy = blockBuffers.take()
        copy.set(part)
        yield { bytes: copy.subarray(0, part.length), done: () => blockBuffers.put(copy) }
      }
    }
    return digester.summary()
  },
  gzip,
  zstd: (tar, recorder) => inParallel(tar, 'zstd', recorder),
}

/** What tells the compressor from those that make other bytes of the same. */
const versions: Record<Compression, () => string | Promise<string>> = {
  none: () => 'none',
  gzip: async () => `gzip-${await deflateVersion()}`,
  zstd: () => zstdVersion,
}

/** The same items, of which up to `count()` are made before they are asked for. */
async function* ahead<T>(items: AsyncGenerator<T>, count: () => number): AsyncGenerator<T> {
  const coming: Promise<IteratorResult<T>>[] = []
  try {
    for (;;) {
      while (coming.length < count()) {
        const next = items.next()
        next.catch(() => {}) // it is thrown when its turn comes
        coming.push(next)
      }
      const item = await (coming.shift() as Promise<IteratorResult<T>>)
      if (item.done === true) return
      yield item.value
    }
  } finally {
    await items.return(undefined)
  }
}
