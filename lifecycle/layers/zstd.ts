import { availableParallelism } from 'node:os'
import { type ZstdCompress, constants, createZstdCompress } from 'node:zlib'
import { BaleError } from '../errors.ts'

const { ZSTD_c_compressionLevel, ZSTD_e_end } = constants
/** The bytes depend on both, and on Node's version of zstd. */
const options = { chunkSize: 256 * 1024, params: { [ZSTD_c_compressionLevel]: 1 } }

// Node compresses in the threads that it reads and writes files with, of which there are four.
export const zstdWidth = Math.min(availableParallelism(), 3)
const lanes: Lane[] = []

/** An independent frame (RFC 8878, section 3: "one or more frames"). Several at once are compressed at once. */
export function zstdFrame(block: Uint8Array): Promise<Uint8Array> {
  let lane = lanes.find(({ load }) => load === 0)
  if (lane === undefined && lanes.length < zstdWidth) lanes.push((lane = new Lane()))
  return (lane ?? lanes.reduce((a, b) => (b.load < a.load ? b : a))).compress(block)
}

/** A compressor whose memory serves one block after another; that of one for each block is given back late. */
class Lane {
  load = 0
  readonly #stream: ZstdCompress = createZstdCompress(options)
  #last: Promise<unknown> = Promise.resolve()
  #parts: Uint8Array[] = []

  constructor() {
    this.#stream.on('data', (part: Uint8Array) => this.#parts.push(part))
    this.#stream.on('error', () => (this.load = Infinity)) // there are no errors but a lack of memory
  }

  async compress(block: Uint8Array): Promise<Uint8Array> {
    this.load++
    const compressed = this.#last.then(() => this.#frame(block))
    this.#last = compressed.catch(() => {})
    return compressed.finally(() => this.load--)
  }

  #frame(block: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void => reject(new BaleError('failed', `zstd failed: ${cause.message}`, { cause }))
      if (this.#stream.destroyed) return fail(new Error('it stopped'))
      this.#stream.once('error', fail)
      this.#stream.write(block)
      this.#stream.flush(ZSTD_e_end, () => {
        this.#stream.removeListener('error', fail)
        const parts = this.#parts.splice(0)
        resolve(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts))
      })
    })
  }
}
