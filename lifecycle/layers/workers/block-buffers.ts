/** Memory that all threads share: one hashes it while another one compresses it. */
export type Block = Uint8Array<SharedArrayBuffer>

/** The most bytes of a layer's tar that are compressed as one unit. */
export const maxBlock = 1024 * 1024

/** The growth of incompressible data: 133 bytes with Bale's deflate, 4 KiB with zstd (ZSTD_COMPRESSBOUND in zstd.h). */
const growth = 8 * 1024

/**
 * The memory of blocks and their compressed forms, for all layers. It is reused, since garbage of this size is collected
 * late.
 */
export const blockBuffers = {
  buffers: [] as SharedArrayBuffer[],

  /** Returns room for a block or its compressed form. */
  take(): Block {
    return new Uint8Array(this.buffers.pop() ?? new SharedArrayBuffer(maxBlock + growth))
  },

  /** Takes back memory that is no longer used. */
  put({ buffer }: Block): void {
    if (this.buffers.length < maxSpares) this.buffers.push(buffer)
  },
}
const maxSpares = 32
