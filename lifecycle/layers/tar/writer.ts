import { maxBlock, blockBuffers } from '../workers/block-buffers.ts'
import { headerRoom, tarBlock, type TarHeader, writeHeader } from './header.ts'

const blockSize = maxBlock

/** Full blocks of a tar. Each is overwritten when the next one is requested. */
export type Blocks = Generator<Uint8Array, void>

/**
 * Writes a tar into blocks of up to 1 MiB. Methods are generators that yield a block whenever one is full. All blocks share
 * one buffer: garbage of that size is collected late.
 */
export class TarWriter {
  readonly #memory = blockBuffers.take()
  readonly #block = Buffer.from(this.#memory.buffer, 0, blockSize)
  /** Always a multiple of 512 between entries, as is the size of a block: padding fits where content ends. */
  #used = 0;

  *header(header: TarHeader): Blocks {
    yield* this.#reserve(headerRoom)
    this.#used = writeHeader(this.#block, this.#used, header)
  }

  /**
   * The content of an entry, exactly `size` bytes.
   * @param read writes at most `length` bytes into the block at an offset, and returns how many (not 0)
   */
  *content(size: number, read: (block: Buffer, offset: number, length: number) => number): Blocks {
    for (let left = size; left > 0;) {
      yield* this.#reserve(1)
      const count = read(this.#block, this.#used, Math.min(left, blockSize - this.#used))
      this.#used += count
      left -= count
    }
    const end = Math.ceil(this.#used / tarBlock) * tarBlock
    this.#block.fill(0, this.#used, end)
    this.#used = end
  }

  /** The end of the archive: two blocks of zeros (pax, "ustar Interchange Format"). */
  *end(): Blocks {
    yield* this.#reserve(2 * tarBlock)
    this.#block.fill(0, this.#used, this.#used + 2 * tarBlock)
    this.#used += 2 * tarBlock
    yield this.#take()
  }

  /** Returns the memory. Nothing may be written or read afterwards. */
  release(): void {
    blockBuffers.put(this.#memory)
  }

  *#reserve(bytes: number): Blocks {
    if (blockSize - this.#used < bytes) yield this.#take()
  }

  #take(): Uint8Array {
    const full = this.#block.subarray(0, this.#used)
    this.#used = 0
    return full
  }
}
