import { type Image, makeImage } from '../image/image.ts'
import { type ImageIndex, type IndexedImage, makeImageIndex } from '../image/image-index.ts'
import type { Layer } from '../image/layer.ts'
import { type ImageSink, type Published, type PublishedIndex, indexSink } from './store.ts'

/** Puts an image from one store into another. Its digest stays the same if the other store keeps bytes unchanged. */
export async function copyImage(
  image: Image,
  sink: ImageSink,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<Published> {
  return (await copy(image, sink, names, signal)).published
}

/** An image after it was put into a store. */
export interface Copied {
  readonly image: Image
  readonly published: Published
}

async function copy(image: Image, sink: ImageSink, names: readonly string[], signal?: AbortSignal): Promise<Copied> {
  await sink.checkWrite(names, signal)
  const copied = await copyLayers(image, sink, signal)
  return { image: copied, published: await sink.putImage(copied, names, signal) }
}

/** Puts an index with all its images from one store into another. @throws BaleError 'arguments' if the other store cannot hold an index */
export async function copyIndex(
  index: ImageIndex,
  sink: ImageSink,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<PublishedIndex> {
  const target = indexSink(sink)
  await target.checkWrite(names, signal, 'index')
  const manifests: IndexedImage[] = []
  for (const entry of index.manifests)
    manifests.push({ ...entry, image: await copyLayers(entry.image, target, signal) })
  const same = manifests.every(({ image }, i) => image.digest === index.manifests[i]?.image.digest)
  const copied = same ? { ...index, manifests } : makeImageIndex(manifests, index.document.annotations)
  return target.putIndex(copied, names, signal)
}

/** Puts the layers into the other store, and returns the image with them. The caller then puts config and manifest. */
async function copyLayers(image: Image, sink: ImageSink, signal?: AbortSignal): Promise<Image> {
  const layers: Layer[] = []
  for (const layer of image.layers) layers.push(await sink.putLayer(layer, signal))
  const same = layers.every((layer, i) => layer.digest === image.layers[i]?.digest)
  return same ? { ...image, layers } : makeImage(image.config, layers)
}

/** Copies an image from the store where it was just put to other destinations. Returns all its names there. */
export async function copyToAll(
  image: Image,
  places: readonly { readonly sink: ImageSink; readonly names: readonly string[] }[],
  signal?: AbortSignal,
  onCopied: (copied: Copied, index: number) => void = () => {},
): Promise<string[]> {
  const given: string[] = []
  for (const [index, { sink, names }] of places.entries()) {
    const copied = await copy(image, sink, names, signal)
    onCopied(copied, index)
    given.push(...copied.published.names)
  }
  return given
}
