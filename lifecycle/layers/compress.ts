import { createHash } from 'node:crypto'
import { constants, crc32, zstdCompress } from 'node:zlib'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, LayerSource } from '../image/layer.ts'
import { type Compression, layerMediaType } from '../image/media-types.ts'
import { lastBlock, maxBlock } from './deflate/index.ts'
import { type Block, type DeflatePool, inlinePool, threadPool } from './deflate/pool.ts'

export { decompress } from './decompress.ts'
export { verified } from './verify.ts'

export interface CompressOptions {
  compression: Compression
  signal?: AbortSignal
}

/**
 * Makes a layer's bytes in one pass: tar, hash, compress, hash, write. The bytes depend on the tar and the compression
 * alone (for zstd also on Node's version of it), never on how many threads there are or how the tar comes in pieces.
 * @param write is awaited before the next piece is made
 */
export async function compressLayer(
  source: LayerSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { compression, signal }: CompressOptions,
): Promise<LayerDigests> {
  const tar = new Tap(source.tar(signal))
  const stored = new Tap(compressors[compression](tar))
  for await (const chunk of stored) {
    signal?.throwIfAborted()
    await write(chunk)
  }
  return {
    diffId: tar.digest(),
    digest: stored.digest(),
    size: stored.size,
    mediaType: layerMediaType(compression),
  }
}

const compressors: Record<Compression, (tar: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>> = {
  none: tar => tar,
  gzip,
  zstd,
}

/** Passes bytes on, and knows their number and hash afterwards. */
class Tap implements AsyncIterable<Uint8Array> {
  readonly #bytes: AsyncIterable<Uint8Array>
  readonly #hash = createHash('sha256')
  size = 0

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = bytes
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#bytes) {
      this.#hash.update(chunk)
      this.size += chunk.length
      yield chunk
    }
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}

// RFC 1952: deflate, no name, no time, a fast compressor (4), an unknown system (255).
const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255)

/** The first few blocks are compressed in place: most layers are small, and threads take longer to start. */
const inlineBlocks = 4

/** One gzip member made of blocks that are compressed independently, at once where it pays. */
export async function* gzip(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield gzipHeader
  let crc = 0
  let size = 0
  let pool: DeflatePool = await inlinePool()
  const spare = new Spares()
  const work = async function* () {
    for await (const block of inBlocks(tar, spare)) {
      crc = crc32(block, crc)
      if (size === inlineBlocks * maxBlock) pool = await threadPool()
      size += block.length
      const result = pool.deflate(block).then(deflated => {
        spare.put(deflated.block)
        return deflated.compressed
      })
      yield { result, width: pool.width }
    }
  }
  yield* inOrder(work())
  const trailer = Buffer.alloc(lastBlock.length + 8)
  trailer.set(lastBlock)
  trailer.writeUInt32LE(crc, lastBlock.length)
  trailer.writeUInt32LE(size % 2 ** 32, lastBlock.length + 4)
  yield trailer
}

const zstdLevel1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const zstdWidth = 4 // libuv's threads

/** Independent zstd frames, one a block (RFC 8878, section 3: "one or more frames"), made in libuv's threads. */
export async function* zstd(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const work = async function* () {
    const spare = new Spares()
    let empty = true
    for await (const block of inBlocks(tar, spare)) {
      empty = false
      const result = compressFrame(block).then(frame => {
        spare.put(block)
        return frame
      })
      yield { result, width: zstdWidth }
    }
    if (empty) yield { result: compressFrame(new Uint8Array()), width: 1 }
  }
  yield* inOrder(work())
}

function compressFrame(block: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zstdCompress(block, zstdLevel1, (error, frame) => (error === null ? resolve(frame) : reject(error)))
  })
}

/** Memory of blocks that are done with: garbage of this kind is collected late. */
class Spares {
  readonly #buffers: ArrayBuffer[] = []

  take(): Block {
    return new Uint8Array(this.#buffers.pop() ?? new ArrayBuffer(maxBlock))
  }

  put(block: Block): void {
    this.#buffers.push(block.buffer)
  }
}

/** The same bytes in blocks of `maxBlock`, the last one shorter: where blocks end must not depend on who made the tar. */
async function* inBlocks(bytes: AsyncIterable<Uint8Array>, spare: Spares): AsyncGenerator<Block> {
  let block = spare.take()
  let used = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + maxBlock - used)
      block.set(part, used)
      used += part.length
      at += part.length
      if (used < maxBlock) continue
      yield block
      block = spare.take()
      used = 0
    }
  }
  if (used > 0) yield block.subarray(0, used)
}

/** Results in the order in which they were asked for, with at most `width` under way. */
async function* inOrder<T>(work: AsyncIterable<{ result: Promise<T>; width: number }>): AsyncGenerator<T> {
  const underWay: Promise<T>[] = []
  for await (const { result, width } of work) {
    result.catch(() => {}) // it is thrown when its turn comes; until then it is not "unhandled"
    underWay.push(result)
    while (underWay.length >= width) yield await (underWay.shift() as Promise<T>)
  }
  for (const result of underWay) yield await result
}
