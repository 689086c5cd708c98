import type { Transform } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { Compression } from '../../image/media-types.ts'
import { verified } from './verify.ts'
import { isZstd, zstdFrames } from './zstd-frames.ts'

export interface DecodeOptions {
  /** The most bytes that may come out: a gzip of 1 MB can hold 1 GB (T36). None by default. */
  maxBytes?: number
  /** What the compressed bytes must be. */
  stored?: { digest: Digest; size: number }
  /** What the uncompressed ones must be. They are for whoever reads to the end: others are an error there. */
  digest?: Digest
}

const chunkSize = 1024 * 1024
/** 128 MiB, the window that `zstd --ultra` makes; more would be memory that an attacker chooses (T41). */
const zstdWindowLog = 27
const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLog }

/** What `decompress` gives, made in the calling thread. A chunk of `bytes` need not be good for longer than its own are. */
export async function* decode(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
  { maxBytes = Infinity, stored, digest }: DecodeOptions,
): AsyncGenerator<Uint8Array> {
  const input = agreeing(stored === undefined ? bytes : verified(bytes, stored), compression)
  const plain = atMost(maxBytes, decoders[compression](input), compression)
  yield* digest === undefined ? plain : verified(plain, { digest })
}

async function* atMost(
  maxBytes: number,
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.length
    if (size > maxBytes)
      throw new BaleError('input', `a ${compression} layer holds more than ${maxBytes} bytes`, {
        fix: 'if it should be so large, make the image without compression',
      })
    yield chunk
  }
}

const decoders: Record<Compression, (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>> = {
  none: bytes => bytes,
  gzip: bytes => through(bytes, createGunzip({ chunkSize }), 'gzip'),
  zstd: bytes => through(wholeFrames(bytes), createZstdDecompress({ chunkSize, params }), 'zstd'),
}

/** Node takes what follows a frame in the same chunk for garbage, and drops it; there may be many (RFC 8878, section 3). */
async function* wholeFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const frame of zstdFrames(bytes)) yield* frame
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  transform: Transform,
  name: Compression,
): AsyncGenerator<Uint8Array> {
  const fed = feed(transform, bytes)
  fed.catch(() => {}) // it is thrown below, if somebody reads so far
  try {
    for await (const chunk of transform as AsyncIterable<Uint8Array>) {
      yield chunk
      // What is left of its memory the next chunk gets.
      if (chunk.byteOffset + chunk.length === chunk.buffer.byteLength) free(chunk)
    }
    await fed
  } catch (error) {
    throw isZlibError(error) ? damaged(name, error) : error
  } finally {
    transform.destroy()
  }
}

/**
 * Asks for the next chunk when the one before is used up, which a pipeline would not wait for. What comes after the end, zeros
 * (T39), is read as well: whoever checks the bytes does so at their end.
 */
async function feed(transform: Transform, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let wake = (): void => {}
  for (const event of ['end', 'close']) transform.once(event, () => wake())
  try {
    for await (const chunk of bytes) {
      if (transform.readableEnded) continue
      if (transform.destroyed) return
      await new Promise<void>(resolve => {
        wake = resolve
        transform.write(chunk, () => resolve())
      })
    }
    transform.end()
  } catch (error) {
    if (transform.readableEnded) throw error
    transform.destroy(error as Error)
  }
}

/** Gives memory back at once that would be garbage for long: it is not in the heap whose size the collector goes by. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= unpooled) buffer.transfer(0)
}
/** Small ones may be parts of memory that others have as well (`Buffer.poolSize`). */
const unpooled = 256 * 1024

function isZlibError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && /^(Z_|ZSTD_|ERR_ZSTD)/.test(String(error.code))
}

function damaged(compression: Compression, cause: Error): BaleError {
  return new BaleError('input', `the ${compression} data of a layer is damaged: ${cause.message}`, { cause })
}

/** Passes bytes on once the first few agree with the compression that is claimed. */
async function* agreeing(bytes: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array()
  for await (const chunk of bytes) {
    if (head !== undefined) {
      head = Buffer.concat([head, chunk])
      if (head.length < 4) continue
      checkAgreement(head, compression)
      yield head
      head = undefined
    } else {
      yield chunk
    }
  }
  if (head === undefined) return
  checkAgreement(head, compression)
  yield head
}

function checkAgreement(head: Uint8Array, claimed: Compression): void {
  const actual = compressionOfBytes(head)
  if (actual === claimed) return
  throw new BaleError('input', `the media type of a layer says ${claimed}, its bytes say ${actual}`)
}

function compressionOfBytes(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  return isZstd(head) ? 'zstd' : 'none'
}
