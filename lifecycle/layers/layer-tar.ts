import { BaleError } from '../errors.ts'
import type { Layer } from '../image/layer.ts'
import { compressionOf } from '../image/media-types.ts'
import { type DecompressOptions, decompress, mostBytesOf } from './compression/decompress.ts'

/**
 * Returns the tar of a layer, verified against its digest, size and diffID at the end: only a reader that reads to the end
 * has verified bytes. Each chunk is valid until the next one is requested.
 * @throws BaleError 'input' for wrong or damaged bytes
 */
export function layerTar(layer: Layer, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const { digest, size, mediaType } = layer
  const tar = tarOf(layer, { stored: { digest, size }, signal })
  if (tar !== undefined) return tar
  throw new BaleError('input', `layers of the type ${JSON.stringify(mediaType)} cannot be read`, {
    where: digest,
  })
}

/**
 * Like `layerTar`, but verifies only the diffID: the stored form does not matter, and for layers that a daemon
 * describes it is unknown. Returns undefined for a media type that cannot be read.
 */
export function contentTar(layer: Layer, signal?: AbortSignal): AsyncIterable<Uint8Array> | undefined {
  return tarOf(layer, { signal })
}

function tarOf(layer: Layer, options: DecompressOptions): AsyncIterable<Uint8Array> | undefined {
  const compression = compressionOf(layer.mediaType)
  if (compression === undefined) return undefined
  const expected = { digest: layer.diffId, maxBytes: mostBytesOf(layer) }
  return decompress(layer.open(options.signal), compression, { ...options, ...expected })
}
