import type { ChunkRecorder } from '../../image/layer.ts'
import { type CompressionPool, type Piece, type TarSummary, compressBlocks } from './blocks.ts'
import { deflateModule } from './deflate/index.ts'
import { TarDigester } from './digester.ts'
import { maxWorkers } from '../workers/pool.ts'
import { layerWorkers } from '../tasks.ts'
import { BlockCompressor, type BlockCompression } from './block-compressor.ts'

let inline: BlockCompressor | undefined
let layers = 0
/** Large layers in progress. */
let large = 0

/** The share of `blocks` for one large layer. All large layers together hold no more blocks than a single one would. */
export const shareOf = (blocks: number): number => Math.max(1, Math.floor(blocks / Math.max(1, large)))

/** Compresses in blocks, on all processors if that saves time. The bytes do not depend on the number of threads. */
export function inParallel(
  tar: AsyncIterable<Uint8Array>,
  compression: BlockCompression,
  recorder?: ChunkRecorder,
): AsyncGenerator<Piece, TarSummary> {
  return compressBlocks(tar, size => (size === 'small' ? inlinePool : threadedPool)(compression), recorder)
}

/** The calling thread. */
export async function inlinePool(compression: BlockCompression): Promise<CompressionPool> {
  const compressor = (inline ??= new BlockCompressor(await deflateModule()))
  const digester = new TarDigester()
  return {
    concurrency: 1,
    compress: (block, into) => Promise.resolve(compressor.compress(block, into, compression)),
    digest: block => Promise.resolve(digester.update(block)),
    summary: () => Promise.resolve(digester.summary()),
    release: () => {},
  }
}

/** The threads of this process. */
export async function threadedPool(compression: BlockCompression): Promise<CompressionPool> {
  const module = await deflateModule()
  const layer = layers++
  const digester = layerWorkers.leastBusy() // one worker computes one hash
  large++
  return {
    get concurrency() {
      return shareOf(3 * maxWorkers)
    },
    compress: (block, into) => layerWorkers.leastBusy().run({ kind: 'compress', compression, module, block, into }),
    digest: block => digester.run({ kind: 'digest', layer, block }),
    summary: () => digester.run({ kind: 'summary', layer }),
    release() {
      large--
      digester.run({ kind: 'release', layer }).catch(() => {})
    },
  }
}
