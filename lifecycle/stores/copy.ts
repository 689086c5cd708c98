import { type Image, makeImage } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import type { ImageSink, Published } from './store.ts'

/** Puts an image from one store into another. Its digest stays the same wherever the other store keeps bytes as they are. */
export async function copyImage(
  image: Image,
  sink: ImageSink,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<Published> {
  await sink.checkWrite(names, signal)
  const layers: Layer[] = []
  for (const layer of image.layers) layers.push(await sink.putLayer(layer, signal))
  const same = layers.every((layer, i) => layer.digest === image.layers[i]?.digest)
  return sink.putImage(same ? { ...image, layers } : makeImage(image.config, layers), names, signal)
}
