import { constants, zstdCompressSync } from 'node:zlib'
import { type Deflate, instantiate } from './index.ts'

/** How blocks are compressed. */
export type BlockCompression = 'gzip' | 'zstd'

const level1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** A function for one thread. What it returns has memory of its own, which can be handed to another thread. */
export function blockFunction(
  module: WebAssembly.Module,
): (block: Uint8Array, compression: BlockCompression) => Uint8Array<ArrayBuffer> {
  let deflate: Deflate | undefined
  const compressors = {
    gzip: (block: Uint8Array) => (deflate ??= instantiate(module))(block),
    // An independent frame (RFC 8878, section 3: "one or more frames"); bytes that Node's version of zstd decides.
    zstd: (block: Uint8Array) => ownMemory(zstdCompressSync(block, level1)),
  }
  return (block, compression) => compressors[compression](block)
}

/** Node takes memory for small results from a pool, and gives larger ones more than they need. */
const ownMemory = (bytes: Buffer): Uint8Array<ArrayBuffer> =>
  bytes.length === bytes.buffer.byteLength ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
