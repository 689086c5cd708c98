import type { LayerKeeper } from '../image/layer.ts'
import type { Compression } from '../image/media-types.ts'
import { type Crew, type Piece, type TarSummary, compressBlocks } from './blocks.ts'
import { type Deflate, deflateModule, instantiate } from './deflate/index.ts'
import { TarDigester } from './digester.ts'
import { maxThreads } from './threads/start.ts'
import { idlestThread } from './threads/tasks.ts'
import { zstdFrame } from './zstd.ts'

type BlockCompression = Exclude<Compression, 'none'>

let inline: Promise<Deflate> | undefined
let layers = 0
/** Large layers under way. */
let large = 0

/** The part of so many blocks that one large layer may take up, so that all of them together hold no more than one does. */
export const shareOf = (blocks: number): number => Math.max(1, Math.floor(blocks / Math.max(1, large)))

/** Compresses in blocks, on all processors where it pays: the same bytes with any number of threads. */
export function inParallel(
  tar: AsyncIterable<Uint8Array>,
  compression: BlockCompression,
  keeper?: LayerKeeper,
): AsyncGenerator<Piece, TarSummary> {
  return compressBlocks(tar, size => (size === 'small' ? smallCrew : largeCrew)(compression), keeper)
}

/** The calling thread. */
export async function smallCrew(compression: BlockCompression): Promise<Crew> {
  const compress = compression === 'zstd' ? zstdFrame : await (inline ??= deflateModule().then(instantiate))
  const digester = new TarDigester()
  return {
    width: 1,
    compress: (block, into) => Promise.resolve(compress(block, into)),
    digest: block => Promise.resolve(digester.update(block)),
    summary: () => Promise.resolve(digester.summary()),
    release: () => {},
  }
}

/** The threads of this process. */
export async function largeCrew(compression: BlockCompression): Promise<Crew> {
  const module = await deflateModule()
  const layer = layers++
  const digester = idlestThread() // a hash is the work of one
  large++
  return {
    get width() {
      return shareOf(3 * maxThreads)
    },
    compress: (block, into) => idlestThread().do({ kind: compression, module, block, into }),
    digest: block => digester.do({ kind: 'digest', layer, block }),
    summary: () => digester.do({ kind: 'summary', layer }),
    release() {
      large--
      digester.do({ kind: 'release', layer }).catch(() => {})
    },
  }
}
