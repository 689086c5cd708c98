import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { type Block, type BlockCompressor, compressBlocks, type Compressed } from './blocks.ts'

const level1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const compress = promisify(zstdCompress)

/** In libuv's threads, of which there are four. */
const frames: BlockCompressor = {
  width: 4,
  compress: async (block: Block): Promise<Compressed> => ({ compressed: await compress(block, level1), block }),
}

/** Independent frames, one a block (RFC 8878, section 3: "one or more frames"); bytes that Node's version of zstd decides. */
export function zstd(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return compressBlocks(tar, () => frames)
}
