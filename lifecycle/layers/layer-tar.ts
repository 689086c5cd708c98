import { BaleError } from '../errors.ts'
import type { Layer } from '../image/layer.ts'
import { compressionOf } from '../image/media-types.ts'
import { type DecompressOptions, decompress, mostBytesOf } from './compression/decompress.ts'

/**
 * The tar of a layer, checked against its digest, size and diffID on the way: right for whoever reads to the
 * end. Each chunk is good until the next one is asked for.
 * @throws BaleError 'input' for bytes that are wrong or damaged
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
 * The same, checked against its diffID alone: what it is stored as does not matter once that is right, and is not known of
 * layers that a daemon describes. Undefined for a media type that nobody can read.
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
