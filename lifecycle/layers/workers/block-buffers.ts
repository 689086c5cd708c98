/** In memory that all threads share: one hashes it while another one compresses it. */
export type Block = Uint8Array<SharedArrayBuffer>

/** Bytes of a layer's tar that are compressed by themselves, at most. */
export const maxBlock = 1024 * 1024

/** What noise grows by: 133 bytes with our deflate, 4 KiB with zstd (ZSTD_COMPRESSBOUND in zstd.h). */
const growth = 8 * 1024

/** The memory of blocks, and of what they are compressed to, for all layers: garbage of this size is collected late. */
export const blockBuffers = {
  buffers: [] as SharedArrayBuffer[],

  /** Room for a block, whatever it is compressed to. */
  take(): Block {
    return new Uint8Array(this.buffers.pop() ?? new SharedArrayBuffer(maxBlock + growth))
  },

  /** Nobody looks at it any more. */
  put({ buffer }: Block): void {
    if (this.buffers.length < maxSpares) this.buffers.push(buffer)
  },
}
const maxSpares = 32
