import type { Transform } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { Compression } from '../../image/media-types.ts'
import { verified } from './verify.ts'
import { isZstd, zstdFrames } from './zstd-frames.ts'

export interface DecodeOptions {
  /** The limit of uncompressed bytes: a gzip of 1 MB can contain 1 GB (T36). Unlimited by default. */
  maxBytes?: number
  /** The expected digest and size of the compressed bytes. */
  stored?: { digest: Digest; size: number }
  /**
   * The expected digest of the uncompressed bytes. A mismatch is an error at the end, so only a reader that reads to the end
   * has verified bytes.
   */
  digest?: Digest
}

const chunkSize = 1024 * 1024
/** 128 MiB, the window of `zstd --ultra`. With a larger limit, an attacker could choose how much memory Bale uses (T41). */
const zstdWindowLog = 27
const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLog }

/**
 * Decompresses in the calling thread, otherwise like `decompress`. A chunk of `bytes` only needs to stay valid until the
 * next one is requested.
 */
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
        fix: 'if the layer should be this large, make the image without compression',
      })
    yield chunk
  }
}

const decoders: Record<Compression, (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>> = {
  none: bytes => bytes,
  gzip: bytes => through(bytes, createGunzip({ chunkSize }), 'gzip'),
  zstd: bytes => through(wholeFrames(bytes), createZstdDecompress({ chunkSize, params }), 'zstd'),
}

/** Decodes frame by frame (RFC 8878, section 3): Node drops the bytes after a frame in the same chunk. */
async function* wholeFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const frame of zstdFrames(bytes)) yield* frame
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  transform: Transform,
  name: Compression,
): AsyncGenerator<Uint8Array> {
  const fed = feed(transform, bytes)
  fed.catch(() => {}) // thrown below, if the caller reads that far
  try {
    for await (const chunk of transform as AsyncIterable<Uint8Array>) {
      yield chunk
      // The next chunk gets the rest of this one's memory.
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
 * Requests the next chunk only when the previous one is consumed, which a pipeline does not do. Also reads the bytes after the
 * end of the stream, such as zeros (T39), since the bytes are verified at their end.
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

/** Frees memory at once. The garbage collector would free it late, since it is outside the heap whose size triggers it. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= unpooled) buffer.transfer(0)
}
/** Small buffers may share memory with others (`Buffer.poolSize`). */
const unpooled = 256 * 1024

function isZlibError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && /^(Z_|ZSTD_|ERR_ZSTD)/.test(String(error.code))
}

function damaged(compression: Compression, cause: Error): BaleError {
  return new BaleError('input', `the ${compression} data of a layer is damaged: ${cause.message}`, { cause })
}

/** Passes bytes on, if the first few match the declared compression. */
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
