import { crc32 } from 'node:zlib'
import { lastBlock } from './deflate/index.ts'
import { inParallel } from './deflate/pool.ts'

// RFC 1952: deflate, no name, no time, a fast compressor (4), an unknown system (255).
const header = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255)

/**
 * One gzip member, whose blocks are compressed independently: the same bytes on any machine, with any number of threads.
 * @param folder where compressed blocks are kept
 */
export async function* gzip(tar: AsyncIterable<Uint8Array>, folder?: string): AsyncGenerator<Uint8Array> {
  let crc = 0
  let size = 0
  const summed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      crc = crc32(chunk, crc)
      size += chunk.length
      yield chunk
    }
  }
  yield header
  yield* inParallel(summed(), { compression: 'gzip', ...(folder !== undefined && { folder }) })
  const trailer = Buffer.alloc(lastBlock.length + 8)
  trailer.set(lastBlock)
  trailer.writeUInt32LE(crc, lastBlock.length)
  trailer.writeUInt32LE(size % 2 ** 32, lastBlock.length + 4)
  yield trailer
}
