import type { History } from './config.ts'
import type { Image } from './image.ts'

/** One entry for each layer; empty ones where the image's own history does not add up. */
export function layerHistory(image: Image): readonly History[] {
  const entries = (image.config.history ?? []).filter(h => h.empty_layer !== true)
  return image.layers.map((_, i) => (entries.length === image.layers.length ? { ...entries[i] } : {}))
}

/** The same for a base image, dated as the image that is made of it: the config must not depend on when the base was made. */
export function baseHistory(image: Image, created: string): readonly History[] {
  return layerHistory(image).map(entry => ({ ...entry, created }))
}
