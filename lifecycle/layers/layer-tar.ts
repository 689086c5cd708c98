import { BaleError } from '../errors.ts'
import type { Layer } from '../image/layer.ts'
import { compressionOf } from '../image/media-types.ts'
import { decompress, mostBytesOf } from './decompress.ts'
import { verified } from './verify.ts'

/**
 * The tar of a layer, checked against its digest, size and diffID on the way; good only once it has ended.
 * @throws BaleError 'input' for bytes that are wrong or damaged
 */
export function layerTar(layer: Layer, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const compression = compressionOf(layer.mediaType)
  if (compression === undefined)
    throw new BaleError('input', `layers of the type ${JSON.stringify(layer.mediaType)} cannot be read`, {
      where: layer.digest,
    })
  return verified(decompress(verified(layer.open(signal), layer), compression, { maxBytes: mostBytesOf(layer.size) }), {
    digest: layer.diffId,
  })
}
