import type { LayerKeeper } from '../image/layer.ts'
import { type Crew, type Piece, type TarSummary, compressBlocks } from './blocks.ts'
import { type Deflate, deflateModule, instantiate } from './deflate/index.ts'
import { idlest, maxThreads } from './deflate/threads.ts'
import { TarDigester } from './digester.ts'
import { zstdFrame, zstdWidth } from './zstd.ts'

type BlockCompression = 'gzip' | 'zstd'

let inline: Promise<Deflate> | undefined
let layers = 0

/** Compresses in blocks, on all processors where it pays: the same bytes with any number of threads. */
export function inParallel(
  tar: AsyncIterable<Uint8Array>,
  compression: BlockCompression,
  keeper?: LayerKeeper,
): AsyncGenerator<Piece, TarSummary> {
  return compressBlocks(tar, size => (size === 'small' ? smallCrew : largeCrew)(compression), keeper)
}

/** The calling thread, whose zstd works beside it in any case. */
export async function smallCrew(compression: BlockCompression): Promise<Crew> {
  const deflate = await (inline ??= deflateModule().then(instantiate))
  const digester = new TarDigester()
  return {
    width: 1,
    compress: compression === 'zstd' ? zstdFrame : block => Promise.resolve(deflate(block)),
    digest: block => Promise.resolve(digester.update(block)),
    summary: () => Promise.resolve(digester.summary()),
    release: () => {},
  }
}

/** The threads of this process. */
export async function largeCrew(compression: BlockCompression): Promise<Crew> {
  const module = await deflateModule()
  const layer = layers++
  const digester = idlest(module) // a hash is the work of one
  return {
    width: 2 * (compression === 'zstd' ? zstdWidth : maxThreads),
    compress: compression === 'zstd' ? zstdFrame : block => idlest(module).do({ kind: 'deflate', block }),
    digest: block => digester.do({ kind: 'digest', layer, block }),
    summary: () => digester.do({ kind: 'summary', layer }),
    release: () => void digester.do({ kind: 'release', layer }).catch(() => {}),
  }
}
