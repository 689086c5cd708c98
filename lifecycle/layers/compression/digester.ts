import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { TarSummary } from './blocks.ts'

/** Digests a tar chunk by chunk. */
export class TarDigester {
  readonly #hash = createHash('sha256')
  #crc = 0
  #size = 0

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#crc = crc32(bytes, this.#crc)
    this.#size += bytes.length
  }

  summary(): TarSummary {
    return { diffId: `sha256:${this.#hash.digest('hex')}`, crc: this.#crc, size: this.#size }
  }
}
