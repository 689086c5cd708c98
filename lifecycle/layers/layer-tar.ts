import { BaleError } from '../errors.ts'
import type { Layer } from '../image/layer.ts'
import { compressionOf } from '../image/media-types.ts'
import { decompress, mostBytesOf } from './decompress.ts'

/**
 * The tar of a layer, checked against its digest, size and diffID on the way: right for whoever reads to the
 * end. Each chunk is good until the next one is asked for.
 * @throws BaleError 'input' for bytes that are wrong or damaged
 */
export function layerTar(layer: Layer, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const compression = compressionOf(layer.mediaType)
  if (compression === undefined)
    throw new BaleError('input', `layers of the type ${JSON.stringify(layer.mediaType)} cannot be read`, {
      where: layer.digest,
    })
  const { digest, size, diffId } = layer
  const options = { stored: { digest, size }, digest: diffId, maxBytes: mostBytesOf(layer), signal }
  return decompress(layer.open(signal), compression, options)
}
