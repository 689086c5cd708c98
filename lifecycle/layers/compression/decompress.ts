import type { LayerDigests } from '../../image/layer.ts'
import { type Compression, compressionOf } from '../../image/media-types.ts'
import { type DecodeOptions, decode } from './decode.ts'
import { freeThread } from './decompress-threads.ts'
import { readAhead } from './read-ahead.ts'

export interface DecompressOptions extends DecodeOptions {
  /** Stops at once, even if bytes have been read ahead. */
  signal?: AbortSignal | undefined
}

/**
 * Returns the limit of uncompressed bytes for a foreign layer: a bomb expands a thousand times, real layers about ten times. A small
 * layer may be all zeros. For an uncompressed layer the limit is its size.
 */
export function mostBytesOf({ size, mediaType }: Pick<LayerDigests, 'size' | 'mediaType'>): number {
  return compressionOf(mediaType) === 'none' ? Infinity : Math.max(2 ** 30, 200 * size)
}

/** Compressed bytes. Decompressing fewer takes less time than starting a thread. */
const smallLayer = 1024 * 1024

/**
 * Returns the uncompressed bytes. The bytes must match the media type (T42); the format is never guessed. Joins the parts of
 * a concatenated file (T38) and skips zeros after gzip (T39). A thread decompresses and hashes a large layer ahead of the
 * reader. Each chunk is valid until the next one is requested: copy what must last.
 * @param bytes in chunks that this function may keep
 * @throws BaleError 'input' for damaged or truncated data, another compression, garbage at the end, too many bytes, or
 * another digest
 */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
  { signal, ...options }: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const { ended, all } = await readAhead(bytes, smallLayer)
  const nothingToDo = compression === 'none' && options.digest === undefined && options.stored === undefined
  const thread = ended || nothingToDo ? undefined : freeThread()
  const tar = thread === undefined ? decode(all, compression, options) : thread.decode(all, compression, options)
  for await (const chunk of tar) {
    signal?.throwIfAborted()
    yield chunk
  }
  signal?.throwIfAborted()
}
