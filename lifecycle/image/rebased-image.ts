import type { ImageConfig } from './config.ts'
import { baseHistory, layerHistory } from './history.ts'
import { type Image, formatOf, makeImage } from './image.ts'

export interface RebasedImageOptions {
  /** How many of the app's lowest layers belong to its run image: see `countRunImageLayers`. */
  readonly below: number
  /** Labels that replace the app's. */
  readonly labels: Readonly<Record<string, string>>
  /** Labels with these prefixes come from the new run image; the app's own are removed. */
  readonly labelPrefixes: readonly string[]
  /** RFC 3339; for `created` and the history of the run image's layers. */
  readonly created: string
}

/**
 * How many of the image's lowest layers belong to the run image: up to the layer with the diffID that the label records
 * (platform.md, "rebaser", Outputs). Undefined if the image has no such layer.
 * @param own how many layers belong to the app according to the label. This decides if a diffID occurs several times, as that
 *   of an empty layer may
 */
export function countRunImageLayers(app: Image, topLayer: string, own: number): number | undefined {
  const diffIds: readonly string[] = app.layers.map(layer => layer.diffId)
  const rest = diffIds.length - own
  if (diffIds[rest - 1] === topLayer) return rest
  return diffIds.indexOf(topLayer) + 1 || undefined
}

/**
 * Puts the app on another run image, whose layers replace those of the old one (platform.md, "rebaser"). The platform comes from
 * the new run image; user, environment and everything else in the config stay the app's.
 */
export function rebaseImage(app: Image, runImage: Image, options: RebasedImageOptions): Image {
  const config = asWritten(app)
  const { 'os.version': _version, 'os.features': _features, ...rest } = config
  const { os, architecture, variant, ...base } = runImage.config
  const rebased: ImageConfig = {
    ...rest,
    created: options.created,
    os,
    architecture,
    ...(variant && { variant }),
    ...(base['os.version'] !== undefined && { 'os.version': base['os.version'] }),
    ...(base['os.features'] !== undefined && { 'os.features': base['os.features'] }),
    config: { ...config.config, Labels: rebasedLabels(config, runImage.config, options) },
    history: [...baseHistory(runImage, options.created), ...layerHistory(app).slice(options.below)],
  }
  const layers = [...runImage.layers, ...app.layers.slice(options.below)]
  return makeImage(rebased, layers, formatOf(app, layers))
}

/** The config with its original order of keys and its nulls, so that unchanged parts keep their bytes. */
function asWritten(image: Image): ImageConfig {
  return JSON.parse(Buffer.from(image.configBytes).toString()) as ImageConfig
}

/** Labels keep their order, so that the same run image gives the same config again. */
function rebasedLabels(app: ImageConfig, runImage: ImageConfig, options: RebasedImageOptions): Record<string, string> {
  const isBase = ([name]: readonly [string, string]): boolean => options.labelPrefixes.some(p => name.startsWith(p))
  const base = Object.fromEntries(Object.entries(runImage.config?.Labels ?? {}).filter(isBase))
  const kept = Object.entries(app.config?.Labels ?? {}).filter(l => !isBase(l) || Object.hasOwn(base, l[0]))
  return { ...Object.fromEntries(kept), ...base, ...options.labels }
}
