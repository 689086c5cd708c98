import { constants, zstdCompressSync } from 'node:zlib'
import { throughCache } from '../block-cache.ts'
import { type Deflate, instantiate } from './index.ts'

/** How blocks are compressed, and where what they were compressed to is kept, if it is. */
export interface Recipe {
  readonly compression: 'gzip' | 'zstd'
  readonly folder?: string
}

const level1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** A function for one thread. What it returns has memory of its own, which can be handed to another thread. */
export function blockFunction(module: WebAssembly.Module): (block: Uint8Array, recipe: Recipe) => Uint8Array {
  let deflate: Deflate | undefined
  const compressors = {
    gzip: (block: Uint8Array): Uint8Array => (deflate ??= instantiate(module))(block),
    // An independent frame (RFC 8878, section 3: "one or more frames"); bytes that Node's version of zstd decides.
    zstd: (block: Uint8Array): Uint8Array => ownMemory(zstdCompressSync(block, level1)),
  }
  return (block, { compression, folder }) => {
    const compress = (): Uint8Array => compressors[compression](block)
    return folder === undefined ? compress() : throughCache(folder, block, compress)
  }
}

/** Node takes memory for small results from a pool. */
const ownMemory = (bytes: Buffer): Uint8Array =>
  bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
