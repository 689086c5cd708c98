import { type History, type ImageConfig, envOf } from './config.ts'
import { baseHistory } from './history.ts'
import { type Image, formatOf, makeImage } from './image.ts'
import type { Layer } from './layer.ts'

/** A layer that the build added, and the line it gets in the image's history. */
export interface AddedLayer {
  readonly layer: Layer
  readonly createdBy: string
}

export interface AppImageOptions {
  readonly labels: Readonly<Record<string, string>>
  /** Set, or replaced where the run image has them. PATH is made from the run image's. */
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: string
  readonly workingDir: string
  /** RFC 3339; for `created` and every entry of the history. */
  readonly created: string
  /** Entries of the history have nothing but a date, as platforms before 0.12 know them. */
  readonly blankHistory?: boolean
  /** The image has its run image's format; OCI's otherwise. */
  readonly keepFormat?: boolean
}

/**
 * The app image: the run image, the added layers, and a config that starts the launcher (platform.md, "exporter",
 * Outputs). User and everything else are the run image's; Cmd is cleared, since it belongs to another entrypoint.
 */
export function makeAppImage(runImage: Image, added: readonly AddedLayer[], options: AppImageOptions): Image {
  const { config: base } = runImage
  const { Cmd: _cmd, Entrypoint: _entrypoint, ...inherited } = base.config ?? {}
  const config: ImageConfig = {
    ...base,
    created: options.created,
    config: {
      ...inherited,
      Env: mergeEnv(base, { ...options.env, PATH: launchPath(base) }),
      Entrypoint: [options.entrypoint],
      WorkingDir: options.workingDir,
      Labels: { ...inherited.Labels, ...options.labels },
    },
    history: makeHistory(runImage, added, options),
  }
  const layers = [...runImage.layers, ...added.map(a => a.layer)]
  return makeImage(config, layers, options.keepFormat ? formatOf(runImage, layers) : 'oci')
}

/** Process types can be called by name, and the launcher too, which the spec does not ask for and users are used to. */
function launchPath(base: ImageConfig): string {
  const path = envOf(base, 'PATH')
  return ['/cnb/process', '/cnb/lifecycle', ...(path ? [path] : [])].join(':')
}

function mergeEnv(base: ImageConfig, set: Readonly<Record<string, string>>): string[] {
  const kept = (base.config?.Env ?? []).filter(entry => !Object.hasOwn(set, entry.split('=', 1)[0] as string))
  return [...kept, ...Object.entries(set).map(([name, value]) => `${name}=${value}`)]
}

/** Exactly one entry for each layer, all of one date. */
function makeHistory(runImage: Image, added: readonly AddedLayer[], options: AppImageOptions): History[] {
  const { created, blankHistory = false } = options
  if (blankHistory) return [...runImage.layers, ...added].map(() => ({ created }))
  return [...baseHistory(runImage, created), ...added.map(a => ({ created, created_by: a.createdBy }))]
}
