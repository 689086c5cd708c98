import type { ImageConfig } from '../../image/config.ts'
import { type Image, makeImage } from '../../image/image.ts'
import type { Layer, LayerSource } from '../../image/layer.ts'
import type { ImageSink } from '../../stores/store.ts'

/** An image to be made: its layers, and its config, whose rootfs comes from the layers. */
export interface ImagePlan {
  readonly layers: readonly (Layer | LayerSource)[]
  config(layers: readonly Layer[]): ImageConfig
}

/** Stores the layers of a plan. The caller then stores config and manifest. */
export async function storeLayers(plan: ImagePlan, sink: ImageSink, signal?: AbortSignal): Promise<Image> {
  const layers: Layer[] = []
  for (const layer of plan.layers) layers.push(await sink.putLayer(layer, signal))
  return makeImage(plan.config(layers), layers)
}
