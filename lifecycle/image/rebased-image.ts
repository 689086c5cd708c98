import type { ImageConfig } from './config.ts'
import { baseHistory, layerHistory } from './history.ts'
import { type Image, formatOf, makeImage } from './image.ts'

export interface RebaseOptions {
  /** How many of the app's first layers are its run image's: see `countRunImageLayers`. */
  readonly below: number
  /** Set, or replaced where the app has them. */
  readonly labels: Readonly<Record<string, string>>
  /** Labels that begin so are the new run image's, and gone where it has none. */
  readonly labelPrefixes: readonly string[]
  /** RFC 3339; for `created` and the history of the run image's layers. */
  readonly created: string
}

/**
 * How many of the image's first layers are the run image's: up to the one with the diffID that the label records
 * (platform.md, "rebaser", Outputs); undefined if the image has no such layer.
 * @param own how many layers the label says are the app's. An empty layer can be there several times, in the run image and
 *   above it: then the number decides.
 */
export function countRunImageLayers(app: Image, topLayer: string, own: number): number | undefined {
  const diffIds: readonly string[] = app.layers.map(layer => layer.diffId)
  const rest = diffIds.length - own
  if (diffIds[rest - 1] === topLayer) return rest
  return diffIds.indexOf(topLayer) + 1 || undefined
}

/**
 * The app on another run image: its layers in the place of the old one's, the rest as it was (platform.md, "rebaser"). What
 * the image runs on is the new run image's to say; user, environment and all else in the config stay the app's.
 */
export function rebaseImage(app: Image, runImage: Image, options: RebaseOptions): Image {
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

/** The config with its keys in the order that they stand in, and nulls as nulls: what is not changed keeps its bytes. */
function asWritten(image: Image): ImageConfig {
  return JSON.parse(Buffer.from(image.configBytes).toString()) as ImageConfig
}

/** Each label where it was: the same run image again gives the same config. */
function rebasedLabels(app: ImageConfig, runImage: ImageConfig, options: RebaseOptions): Record<string, string> {
  const isBase = ([name]: readonly [string, string]): boolean => options.labelPrefixes.some(p => name.startsWith(p))
  const base = Object.fromEntries(Object.entries(runImage.config?.Labels ?? {}).filter(isBase))
  const kept = Object.entries(app.config?.Labels ?? {}).filter(l => !isBase(l) || Object.hasOwn(base, l[0]))
  return { ...Object.fromEntries(kept), ...base, ...options.labels }
}
