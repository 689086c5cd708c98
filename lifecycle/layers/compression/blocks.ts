import type { Digest } from '../../image/digest.ts'
import type { ChunkRecorder } from '../../image/layer.ts'
import { type Block, maxBlock, blockBuffers } from '../workers/block-buffers.ts'
import { tarBlock } from '../tar/header.ts'

/** Compresses and digests the blocks of one layer. The caller must not touch a block until its answer arrives. */
export interface CompressionPool {
  /** The number of blocks that can usefully be in progress at once. */
  readonly concurrency: number
  /** Compresses the block into other memory. Returns the number of bytes. */
  compress(block: Block, into: Block): Promise<number>
  /** Digests the blocks. Must be called in their order. */
  digest(block: Block): Promise<void>
  /** Returns the digests of all blocks. */
  summary(): Promise<TarSummary>
  /** Frees the resources, whether the layer is complete or given up. */
  release(): void
}

/** The digests and size of a tar. */
export interface TarSummary {
  readonly diffId: Digest
  /** CRC-32 and size in bytes, as a gzip trailer has them. */
  readonly crc: number
  readonly size: number
}

/** Bytes of a layer. With a key, they are the compressed form of the block with that key. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly key?: string
  /** Returns their memory to the pool. */
  done?(): void
}

/**
 * A layer of at most so many blocks is compressed in the calling thread: most layers are small, and a thread takes longer to
 * start.
 */
export const smallLayer = 4

/** In bytes. Compressing a smaller block again takes less time than finding it. */
const worthKeeping = 64 * 1024

/**
 * Cuts a tar into blocks of about 1 MiB, digests them in order, compresses them concurrently where that pays, and emits the
 * results in order. Block boundaries do not depend on how the bytes are chunked. Empty input gives one empty block.
 * @param poolFor selects the workers for a small and for a large layer
 */
export async function* compressBlocks(
  tar: AsyncIterable<Uint8Array>,
  poolFor: (size: 'small' | 'large') => CompressionPool | Promise<CompressionPool>,
  recorder?: ChunkRecorder,
): AsyncGenerator<Piece, TarSummary> {
  const underWay: Promise<Piece>[] = []
  const next = (): Promise<Piece> => underWay.shift() as Promise<Piece>
  const begin = async (block: Block, pool: CompressionPool): Promise<Piece> => {
    const digested = pool.digest(block)
    const into = blockBuffers.take()
    const key = block.length < worthKeeping ? undefined : recorder?.keyOf(block)
    const known = key === undefined ? undefined : recorder?.find(key, into)
    const [length] = await Promise.all([known ?? pool.compress(block, into), digested])
    blockBuffers.put(block)
    return { bytes: into.subarray(0, length), done: () => blockBuffers.put(into), key }
  }
  const start = (block: Block, pool: CompressionPool): void => {
    const piece = begin(block, pool)
    piece.catch(() => {}) // thrown at its place in the order; until then it must not count as unhandled
    underWay.push(piece)
  }

  const waiting: Block[] = []
  const startAll = async function* (pool: CompressionPool): AsyncGenerator<Piece> {
    for (let block = waiting.shift(); block !== undefined; block = waiting.shift()) {
      while (underWay.length >= pool.concurrency) yield await next()
      start(block, pool)
    }
  }
  let pool: CompressionPool | undefined
  try {
    for await (const block of inBlocks(tar)) {
      waiting.push(block)
      if (pool === undefined && waiting.length <= smallLayer) continue
      pool ??= await poolFor('large')
      yield* startAll(pool)
    }
    pool ??= await poolFor('small')
    yield* startAll(pool)
    while (underWay.length > 0) yield await next()
    return await pool.summary()
  } finally {
    pool?.release()
  }
}

/**
 * Emits blocks of at most 1 MiB that end before the header of a tar entry, if a suitable one is in the second half. When a
 * file changes, later blocks soon end at the same places again, and are the same.
 */
async function* inBlocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  let block = blockBuffers.take()
  let used = 0
  let empty = true
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) {
      if (used === maxBlock) {
        const end = endOfBlock(block, used)
        const rest = blockBuffers.take()
        rest.set(block.subarray(end, used))
        yield block.subarray(0, end)
        block = rest
        used -= end
        empty = false
      }
      const part = chunk.subarray(at, at + maxBlock - used)
      block.set(part, used)
      used += part.length
      at += part.length
    }
  }
  if (used > 0 || empty) yield block.subarray(0, used)
  else blockBuffers.put(block)
}

/**
 * Cuts before the first header whose checksum ends in 0, as one in eight does, so the cut depends on no earlier bytes. A file's
 * content may look like a header; the result is still deterministic.
 */
function endOfBlock(block: Uint8Array, used: number): number {
  for (let at = maxBlock / 2; at < used; at += tarBlock) {
    if (block[at + 257] === 0x75 && block[at + 153] === 0x30 && isUstar(block, at)) return at
  }
  return used
}

const isUstar = (block: Uint8Array, at: number): boolean =>
  Buffer.from(block.buffer, block.byteOffset + at + 257, 5).toString('latin1') === 'ustar'
