import { createHash } from 'node:crypto'
import type { LayerDigests, ChunkRecorder, LayerSource } from '../../image/layer.ts'
import { layerMediaType } from '../../image/media-types.ts'
import { maxBlock, blockBuffers } from '../workers/block-buffers.ts'
import type { Piece, TarSummary } from './blocks.ts'
import { inParallel, shareOf } from './pool.ts'
import { TarDigester } from './digester.ts'
import { gzip } from './gzip.ts'
import { compressorVersion } from './block-compressor.ts'
import { type Packing, defaultLevel } from './packing.ts'

export interface CompressOptions extends Packing {
  signal?: AbortSignal | undefined
}

/**
 * Makes a layer's bytes in one pass: tar, hash, compress, hash, write. The source's recorder gets the bytes as well. They
 * depend only on the tar and the compression and its level (for zstd and for higher levels also on Node's version of the compressor), never on the number of threads, the
 * chunking of the tar or the recorder's content.
 * @param write is awaited before the next chunk; a few more are compressed meanwhile. The chunk is valid until it resolves:
 * copy what must last
 */
export async function compressLayer(
  source: LayerSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { compression = 'gzip', level = defaultLevel, signal }: CompressOptions = {},
): Promise<LayerDigests> {
  await using recorder = source.chunks?.(compression, await versionOf({ compression, level }))
  const hash = createHash('sha256')
  let size = 0
  const end: { tar?: TarSummary } = {}
  const pieces = async function* (): AsyncGenerator<Piece> {
    end.tar = yield* compressors[compression](source.tar(signal), level, recorder)
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

/** Some MB: covers the time to write one chunk, and bounds the memory that a slow destination costs. */
const piecesAhead = 4

/** Raise this when the bytes of a layer change: how it is packed, or where its blocks are cut. */
const formatVersion = 4

/**
 * Identifies everything besides its files that determines the bytes of a layer. Cached results for another format do not
 * apply.
 */
export async function layerFormat(of: Packing): Promise<string> {
  return `${formatVersion} ${of.compression ?? 'gzip'} ${await versionOf(of)}`
}

type Compress = (
  tar: AsyncIterable<Uint8Array>,
  level: number,
  recorder?: ChunkRecorder,
) => AsyncGenerator<Piece, TarSummary>

const compressors: Record<NonNullable<Packing['compression']>, Compress> = {
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
  zstd: (tar, level, recorder) => inParallel(tar, { kind: 'zstd', level }, recorder),
}

/** Identifies a compressor by the bytes that it makes. */
async function versionOf({ compression = 'gzip', level = defaultLevel }: Packing): Promise<string> {
  return compression === 'none' ? 'none' : compressorVersion({ kind: compression, level })
}

/** Emits the same items, with up to `count()` computed ahead. */
async function* ahead<T>(items: AsyncGenerator<T>, count: () => number): AsyncGenerator<T> {
  const coming: Promise<IteratorResult<T>>[] = []
  try {
    for (;;) {
      while (coming.length < count()) {
        const next = items.next()
        next.catch(() => {}) // thrown at its place in the order
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
