import type { History } from './config.ts'
import type { Image } from './image.ts'

/** Layers, and a config that may have a history of them. */
interface Layered extends Pick<Image, 'config'> {
  readonly layers: readonly unknown[]
}

/** One entry for each layer. All are empty if the number of entries differs from the number of layers. */
export function layerHistory({ config, layers }: Layered): readonly History[] {
  const entries = (config.history ?? []).filter(h => h.empty_layer !== true)
  return layers.map((_, i) => (entries.length === layers.length ? { ...entries[i] } : {}))
}

/**
 * The same for a base image, with the date of the image that is made from it: its config must not depend on the base's date.
 */
export function baseHistory(image: Image, created: string): readonly History[] {
  return layerHistory(image).map(entry => ({ ...entry, created }))
}
