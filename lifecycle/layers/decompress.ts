import { Readable, type Transform, pipeline } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { BaleError } from '../errors.ts'
import type { Compression } from '../image/media-types.ts'
import { isZstd, zstdFrames } from './zstd-frames.ts'

export interface DecompressOptions {
  /** The most bytes that may come out: a gzip of 1 MB can hold 1 GB (T36). None by default. */
  maxBytes?: number
}

/**
 * How much a layer of so many stored bytes may hold if somebody else made it: a bomb is a thousand times its size, what
 * people ship some ten times. A small layer may be all zeros.
 */
export function mostBytesOf(stored: number): number {
  return Math.max(2 ** 30, 200 * stored)
}

const chunkSize = 256 * 1024
/** 128 MiB, the window that `zstd --ultra` makes; more would be memory that an attacker chooses (T41). */
const zstdWindowLog = 27

/**
 * The uncompressed bytes. What the media type says must be so (T42): the bytes are looked at, and never guessed at. The
 * parts of a concatenated file are joined (T38); after gzip, zeros are passed over (T39).
 * @throws BaleError 'input' for damaged or truncated data, another compression, garbage at the end, or too many bytes
 */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const { maxBytes = Infinity } = options
  let size = 0
  for await (const chunk of decoders[compression](agreeing(bytes, compression))) {
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
  async *zstd(bytes) {
    // Node stops after the first frame, silently; there may be many (RFC 8878, section 3).
    const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLog }
    for await (const frame of zstdFrames(bytes))
      yield* through(frame, createZstdDecompress({ chunkSize, params }), 'zstd')
  },
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  transform: Transform,
  name: Compression,
): AsyncGenerator<Uint8Array> {
  // An error on either side destroys both, and comes out of the loop below.
  pipeline(Readable.from(bytes, { objectMode: false }), transform, () => {})
  try {
    yield* transform as AsyncIterable<Uint8Array>
  } catch (error) {
    throw isZlibError(error) ? damaged(name, error) : error
  }
}

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
