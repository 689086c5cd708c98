import type { LayerDigests } from '../../image/layer.ts'
import { type Compression, compressionOf } from '../../image/media-types.ts'
import { type DecodeOptions, decode } from './decode.ts'
import { freeThread } from './decompress-threads.ts'
import { readAhead } from './read-ahead.ts'

export interface DecompressOptions extends DecodeOptions {
  /** Stops at once, whatever has been read and made by then. */
  signal?: AbortSignal | undefined
}

/**
 * How many bytes a layer may hold that somebody else made: a bomb is a thousand times its size, what people ship some ten
 * times. A small one may be all zeros; one that is not compressed is what it is.
 */
export function mostBytesOf({ size, mediaType }: Pick<LayerDigests, 'size' | 'mediaType'>): number {
  return compressionOf(mediaType) === 'none' ? Infinity : Math.max(2 ** 30, 200 * size)
}

/** Bytes as stored; a thread takes longer to start than so many do to decompress. */
const smallLayer = 1024 * 1024

/**
 * The uncompressed bytes. What the media type says must be so (T42): the bytes are looked at, and never guessed at. The
 * parts of a concatenated file are joined (T38); after gzip, zeros are passed over (T39). A large layer is decompressed and
 * hashed by a thread, ahead of whoever reads it. Each chunk is good until the next one is asked for: copy what is to stay.
 * @param bytes in chunks that are ours to keep
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
