import type { ChunkRecorder } from '../../image/layer.ts'
import type { Piece, TarSummary } from './blocks.ts'
import { lastBlock } from './deflate/index.ts'
import { inParallel } from './pool.ts'

// RFC 1952: deflate, no name, no time, the fastest (4) or the slowest algorithm (2), an unknown system (255).
const headerOf = (level: number) =>
  Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, level <= 1 ? 4 : level === 9 ? 2 : 0, 255)

/** One gzip member, whose blocks are compressed independently: the same bytes on any machine, with any number of threads. */
export async function* gzip(
  tar: AsyncIterable<Uint8Array>,
  level: number,
  recorder?: ChunkRecorder,
): AsyncGenerator<Piece, TarSummary> {
  yield { bytes: headerOf(level) }
  const summary = yield* inParallel(tar, { kind: 'gzip', level }, recorder)
  const trailer = Buffer.alloc(lastBlock.length + 8)
  trailer.set(lastBlock)
  trailer.writeUInt32LE(summary.crc, lastBlock.length)
  trailer.writeUInt32LE(summary.size % 2 ** 32, lastBlock.length + 4)
  yield { bytes: trailer }
  return summary
}
