import { BaleError } from '../../errors.ts'

const magic = 0xfd2fb528
const isSkippable = (word: number): boolean => word >= 0x184d2a50 && word <= 0x184d2a5f

/** Returns whether bytes begin with a frame (RFC 8878, section 3.1). */
export function isZstd(head: Uint8Array): boolean {
  if (head.length < 4) return false
  const word = new DataView(head.buffer, head.byteOffset).getUint32(0, true)
  return word === magic || isSkippable(word)
}

/**
 * Emits the frames of a zstd file, one after the other. Read each to its end before the next one. Chunks are valid until the
 * next one is requested, as those of `bytes` are. Skips skippable frames (tables of contents). Parses only headers and block
 * sizes.
 * @throws BaleError 'input' for anything other than complete frames
 */
export async function* zstdFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const input = new ByteQueue(bytes)
  try {
    for (let word = await input.peek(4); word.length > 0; word = await input.peek(4)) {
      const first = word.length < 4 ? 0 : word.readUInt32LE()
      if (first === magic) {
        yield frame(input)
      } else if (isSkippable(first)) {
        const length = (await input.need(8)).readUInt32LE(4)
        for await (const _chunk of input.take(8 + length)) void _chunk
      } else {
        throw new BaleError('input', 'the zstd data of a layer is damaged: it has bytes outside a frame')
      }
    }
  } finally {
    await input.close()
  }
}

async function* frame(input: ByteQueue): AsyncGenerator<Uint8Array> {
  const descriptor = (await input.need(5))[4] as number
  const singleSegment = (descriptor & 0x20) !== 0
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] as number
  yield* input.take(5 + (singleSegment ? 0 : 1) + dictionaryId + contentSize)
  for (let last = false; !last;) {
    const header = (await input.need(3)).readUIntLE(0, 3)
    last = (header & 1) !== 0
    const runLength = ((header >> 1) & 3) === 1
    yield* input.take(3 + (runLength ? 1 : header >> 3))
  }
  if ((descriptor & 4) !== 0) yield* input.take(4)
}

/** Reads given numbers of bytes from an iterable. */
class ByteQueue {
  readonly #bytes: AsyncIterator<Uint8Array>
  #head: Buffer = Buffer.alloc(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = bytes[Symbol.asyncIterator]()
  }

  /** Returns the next `count` bytes, or fewer at the end, without consuming them. */
  async peek(count: number): Promise<Buffer> {
    while (this.#head.length < count) {
      const rest = Buffer.from(this.#head) // copied: the next chunk may reuse its memory
      const next = await this.#bytes.next()
      if (next.done === true) break
      const { value } = next
      this.#head =
        rest.length > 0 ? Buffer.concat([rest, value]) : Buffer.from(value.buffer, value.byteOffset, value.length)
    }
    return this.#head.subarray(0, count)
  }

  async need(count: number): Promise<Buffer> {
    const found = await this.peek(count)
    if (found.length === count) return found
    throw new BaleError('input', 'the zstd data of a layer is damaged: it ends within a frame')
  }

  async *take(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      await this.need(1)
      const part = this.#head.subarray(0, left)
      this.#head = this.#head.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  async close(): Promise<void> {
    await this.#bytes.return?.()
  }
}
