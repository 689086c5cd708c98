import { constants, deflateRawSync } from 'node:zlib'
import type { Compression } from '../../image/media-types.ts'
import type { Block } from '../workers/block-buffers.ts'
import { type Deflate, deflateVersion, instantiate } from './deflate/index.ts'
import { defaultLevel } from './packing.ts'
import { zstdFrame, zstdVersion } from './zstd.ts'

export interface BlockCompression {
  readonly kind: Exclude<Compression, 'none'>
  readonly level: number
}

/** Compresses blocks in one thread. Blocks join into one stream, whichever thread has made them. */
export class BlockCompressor {
  readonly #module: WebAssembly.Module
  #deflate: Deflate | undefined

  constructor(module: WebAssembly.Module) {
    this.#module = module
  }

  /** Compresses a block into other memory. Returns the number of bytes. */
  compress(block: Block, into: Block, { kind, level }: BlockCompression): number {
    if (kind === 'zstd') return zstdFrame(block, into, level)
    if (level !== defaultLevel) return zlibBlock(block, into, level)
    return (this.#deflate ??= instantiate(this.#module))(block, into)
  }
}

/** Compresses with node:zlib: Bale's own deflate has level 1 only. */
function zlibBlock(block: Block, into: Block, level: number): number {
  const compressed = deflateRawSync(block, { level, finishFlush: constants.Z_SYNC_FLUSH })
  into.set(compressed)
  return compressed.length
}

/** Identifies everything besides the block that determines the bytes. */
export async function compressorVersion({ kind, level }: BlockCompression): Promise<string> {
  if (level !== defaultLevel) return `${kind === 'zstd' ? zstdVersion : zlibVersion} level ${level}`
  return kind === 'zstd' ? zstdVersion : `gzip-${await deflateVersion()}`
}

const zlibVersion = `zlib-${process.versions['zlib'] ?? process.version}`
