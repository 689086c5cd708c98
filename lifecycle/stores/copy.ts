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

/** Gives an image that has just been put somewhere its names in other places too; all that it has there. */
export async function copyToAll(
  image: Image,
  places: readonly { readonly sink: ImageSink; readonly names: readonly string[] }[],
  signal?: AbortSignal,
): Promise<string[]> {
  const given: string[] = []
  for (const { sink, names } of places) given.push(...(await copyImage(image, sink, names, signal)).names)
  return given
}
