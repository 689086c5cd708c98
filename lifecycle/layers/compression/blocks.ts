import type { Digest } from '../../image/digest.ts'
import type { ChunkRecorder } from '../../image/layer.ts'
import { type Block, maxBlock, blockBuffers } from '../workers/block-buffers.ts'
import { tarBlock } from '../tar/header.ts'

/** Those who work on the blocks of one layer; until an answer comes, a block must not be touched. */
export interface CompressionPool {
  /** How many blocks may usefully be under way at once. */
  readonly concurrency: number
  /** Puts what the block becomes into other memory; of how many bytes it is. */
  compress(block: Block, into: Block): Promise<number>
  /** Takes the blocks in their order. */
  digest(block: Block): Promise<void>
  /** Of all blocks. */
  summary(): Promise<TarSummary>
  /** The layer is done with, or given up. */
  release(): void
}

/** What is known of a tar once it has been read. */
export interface TarSummary {
  readonly diffId: Digest
  /** CRC-32 and size in bytes, as a gzip trailer has them. */
  readonly crc: number
  readonly size: number
}

/** Bytes of a layer; with a key, they are what the block with that key was compressed to. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly key?: string
  /** Gives their memory back. */
  done?(): void
}

/** A layer of so many blocks at most is made in place: most layers are small, and threads take longer to start. */
export const smallLayer = 4

/** Smaller blocks are compressed again sooner than they are found. */
const worthKeeping = 64 * 1024

/**
 * Cuts a tar into blocks of about 1 MiB, digests them in order, compresses them at once where it pays, and gives the results
 * in order. Where blocks end does not depend on how the bytes come in pieces; of nothing there is one empty block.
 * @param poolFor who works on a small layer, and on a large one
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
    return { bytes: into.subarray(0, length), done: () => blockBuffers.put(into), ...(key !== undefined && { key }) }
  }
  const start = (block: Block, pool: CompressionPool): void => {
    const piece = begin(block, pool)
    piece.catch(() => {}) // it is thrown when its turn comes; until then it is not "unhandled"
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
 * Blocks of at most 1 MiB that end before the header of a tar entry, where there is one that will do in the second half:
 * when a file changes, the blocks after it soon end where they did before, and are the same.
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
 * Before the first header whose checksum ends in 0, which one in eight does: it depends on nothing that stands before it.
 * Some file's content may look like a header; the rule is the same then.
 */
function endOfBlock(block: Uint8Array, used: number): number {
  for (let at = maxBlock / 2; at < used; at += tarBlock) {
    if (block[at + 257] === 0x75 && block[at + 153] === 0x30 && isUstar(block, at)) return at
  }
  return used
}

const isUstar = (block: Uint8Array, at: number): boolean =>
  Buffer.from(block.buffer, block.byteOffset + at + 257, 5).toString('latin1') === 'ustar'
