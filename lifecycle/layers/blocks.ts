import { maxBlock } from './deflate/index.ts'
import { tarBlock } from './tar-header.ts'

export type Block = Uint8Array<ArrayBuffer>

/** Compresses blocks, each by itself. */
export interface BlockCompressor {
  /** How many blocks may usefully be under way at once. */
  readonly width: number
  /** Takes the block over: until it comes back, with what it was compressed to, it must not be touched. */
  compress(block: Block): Promise<Compressed>
}

export interface Compressed {
  readonly compressed: Uint8Array
  readonly block: Block
}

/**
 * Cuts bytes into blocks of about 1 MiB, compresses them at once where it pays, and gives the results in order. Where blocks end
 * does not depend on how the bytes come in pieces; of nothing there is one empty block.
 * @param compressorFor who compresses the block with this index
 */
export async function* compressBlocks(
  bytes: AsyncIterable<Uint8Array>,
  compressorFor: (index: number) => BlockCompressor | Promise<BlockCompressor>,
): AsyncGenerator<Uint8Array> {
  const underWay: Promise<Compressed>[] = []
  const next = async (): Promise<Uint8Array> => {
    const { compressed, block } = await (underWay.shift() as Promise<Compressed>)
    spare.put(block)
    return compressed
  }
  let index = 0
  for await (const block of inBlocks(bytes)) {
    const compressor = await compressorFor(index++)
    const result = compressor.compress(block)
    result.catch(() => {}) // it is thrown when its turn comes; until then it is not "unhandled"
    underWay.push(result)
    while (underWay.length >= compressor.width) yield await next()
  }
  while (underWay.length > 0) yield await next()
}

/** The memory of blocks that are done with, for all layers: garbage of this kind is collected late. */
const spare = {
  buffers: [] as ArrayBuffer[],

  take(): Block {
    return new Uint8Array(this.buffers.pop() ?? new ArrayBuffer(maxBlock))
  },

  put({ buffer }: Block): void {
    if (this.buffers.length < maxSpares) this.buffers.push(buffer)
  },
}
const maxSpares = 32

/**
 * Blocks of at most 1 MiB that end before the header of a tar entry, where there is one that will do in the second half:
 * when a file changes, the blocks after it soon end where they did before, and are the same.
 */
async function* inBlocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  let block = spare.take()
  let used = 0
  let empty = true
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) {
      if (used === maxBlock) {
        const end = endOfBlock(block, used)
        const rest = spare.take()
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
  else spare.put(block)
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
