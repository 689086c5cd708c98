import { type History, type ImageConfig, envOf } from './config.ts'
import { baseHistory } from './history.ts'
import { type Image, formatOf, makeImage } from './image.ts'
import type { Layer } from './layer.ts'

/** A layer that the build added, with its line in the image's history. */
export interface AddedLayer {
  readonly layer: Layer
  readonly createdBy: string
}

export interface AppImageOptions {
  readonly labels: Readonly<Record<string, string>>
  /** Variables that replace the run image's. PATH extends the run image's. */
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: string
  readonly workingDir: string
  /** RFC 3339. The date of `created` and of every entry of the history. */
  readonly created: string
  /** Whether entries of the history have only a date, as in Platform APIs before 0.12. */
  readonly blankHistory?: boolean
  /** Whether the image keeps its run image's format; otherwise it gets OCI's. */
  readonly keepFormat?: boolean
  /** Annotations of the manifest (image-spec annotations.md). Docker's format has none, so the image gets OCI's. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

/**
 * Makes the app image: the run image, the added layers, and a config that starts the launcher (platform.md, "exporter",
 * Outputs). User and everything else come from the run image. Cmd is cleared, since it belongs to another entrypoint.
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
  const { annotations } = options
  const isPlain = annotations === undefined || Object.keys(annotations).length === 0
  return makeImage(config, layers, options.keepFormat && isPlain ? formatOf(runImage, layers) : 'oci', annotations)
}

/** Process types can be called by name. So can the launcher, which the specification does not require but users expect. */
function launchPath(base: ImageConfig): string {
  const path = envOf(base, 'PATH')
  return ['/cnb/process', '/cnb/lifecycle', ...(path ? [path] : [])].join(':')
}

function mergeEnv(base: ImageConfig, set: Readonly<Record<string, string>>): string[] {
  const kept = (base.config?.Env ?? []).filter(entry => !Object.hasOwn(set, entry.split('=', 1)[0] as string))
  return [...kept, ...Object.entries(set).map(([name, value]) => `${name}=${value}`)]
}

/** Exactly one entry for each layer, all with the same date. */
function makeHistory(runImage: Image, added: readonly AddedLayer[], options: AppImageOptions): History[] {
  const { created, blankHistory = false } = options
  if (blankHistory) return [...runImage.layers, ...added].map(() => ({ created }))
  return [...baseHistory(runImage, created), ...added.map(a => ({ created, created_by: a.createdBy }))]
}
