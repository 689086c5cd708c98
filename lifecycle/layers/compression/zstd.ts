import { constants, zstdCompressSync } from 'node:zlib'
import type { Block } from '../workers/block-buffers.ts'

/** Large enough for the output in one chunk: several chunks would be joined by a copy. */
const chunkSize = 1024 * 1024 + 8 * 1024

/** Identifies everything besides the block that determines the bytes. */
export const zstdVersion = `zstd-frame-${process.versions['zstd'] ?? process.version}`

/**
 * Compresses a block to an independent frame that records the size of its content (RFC 8878, section 3: "one or more
 * frames"). Returns its length.
 */
export function zstdFrame(block: Uint8Array, into: Block, level: number): number {
  const frame = zstdCompressSync(block, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: level } })
  into.set(frame)
  const { length, buffer } = frame
  // Freed at once, if nothing shares it: the garbage collector would wait for 64 MB of it.
  if (buffer.byteLength >= chunkSize) buffer.transfer(0)
  return length
}
