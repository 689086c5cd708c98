import { BaleError } from '../errors.ts'
import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import type { Platform } from '../image/manifest.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'
import { targetOf } from '../spec/target.ts'
import type { LayersMetadata, RunImageMetadata, Target } from '../spec/types.ts'
import type { ImageAt } from '../stores/open.ts'
import type { ImageSink } from '../stores/store.ts'
import type { Reporter } from '../events.ts'
import { readOsRelease } from './os-release.ts'

export interface AnalyzeInput {
  readonly platform: Platform
  /** The result of the last build, if this is not the first. */
  readonly previous: ImageAt
  readonly runImage: ImageAt
  /** Wherever the app image goes. */
  readonly destinations: readonly { readonly sink: ImageSink; readonly names: readonly string[] }[]
  readonly reporter: Reporter
}

export interface Analysis {
  readonly runImage: Image
  /** What the app will run on: CNB_TARGET_* of every buildpack. */
  readonly target: Target
  /** Present when the previous image was made by a lifecycle. */
  readonly previous?: PreviousImage
}

export interface PreviousImage {
  readonly image: Image
  readonly metadata: LayersMetadata
}

/**
 * Looks at the images that a build starts from and makes sure, before any work, that its result can be written
 * (platform.md, "analyzer").
 * @throws BaleError 'arguments' when the run image is not there; a store's error when it cannot be read or written
 */
export async function analyze(input: AnalyzeInput, signal?: AbortSignal): Promise<Analysis> {
  refuseRunImage(input)
  const [runImage, previous] = await Promise.all([
    pullRunImage(input.runImage, input.platform, signal),
    readPrevious(input, signal),
    ...input.destinations.map(({ sink, names }) => sink.checkWrite(names, signal)),
  ])
  const labelled = targetOfImage(runImage)
  // Images that nobody made for buildpacks do not say on which distribution they are: their files do.
  const target = labelled.distro
    ? labelled
    : targetOfImage(runImage, await readOsRelease(near(runImage, previous), signal))
  return { runImage, target, ...(previous !== undefined && { previous }) }
}

/** The next app would be built on top of this one, and every other app on this machine as well (X33). */
function refuseRunImage({ runImage, destinations }: AnalyzeInput): void {
  const place = runImage.source.description
  const taken = destinations.some(({ sink, names }) => sink.description === place && names.includes(runImage.name))
  if (!taken) return
  throw new BaleError('arguments', `the app would replace the run image ${runImage.name}, which it is built on`, {
    fix: 'give the app another name',
  })
}

/** @throws BaleError 'arguments' when it is not there, or for another platform; the store's when it cannot be read */
export async function pullRunImage(
  { source, name }: ImageAt,
  platform: Platform,
  signal?: AbortSignal,
): Promise<Image> {
  const runImage = await source.pull(name, platform, signal)
  if (runImage === undefined) {
    const named = ['the run image', name].filter(Boolean).join(' ') // one in a layout has no name there
    throw new BaleError('arguments', `${named} does not exist in ${source.description}`, {
      fix: 'correct its name, or give another with --run-image',
    })
  }
  requirePlatform(runImage, name, platform)
  return runImage
}

/** @param osRelease for an image whose labels do not name its distribution */
/** @throws BaleError 'arguments' for an image that cannot run here */
export function requirePlatform({ config }: Image, name: string, platform: Platform): void {
  const { os, architecture } = config
  if (os === platform.os && architecture === platform.architecture) return
  throw new BaleError('arguments', `the run image ${name} is for ${os}/${architecture}`, {
    fix: `give one for ${platform.os}/${platform.architecture} with --run-image`,
  })
}

export function targetOfImage({ config }: Image, osRelease?: string): Target {
  const { os, architecture, variant } = config
  const labels = config.config?.Labels ?? {}
  return targetOf({ os, architecture, ...(variant !== undefined && { variant }), labels }, osRelease)
}

/** The layers of the run image; those that the previous image has, from where that is, which may be this machine. */
function near(runImage: Image, previous: PreviousImage | undefined): Layer[] {
  return runImage.layers.map(layer => previous?.image.layers.find(l => l.diffId === layer.diffId) ?? layer)
}

/**
 * The previous image and its layers. One that somebody else made, or that is damaged, is no help and no obstacle: the
 * build starts from nothing, as it does the first time.
 */
export async function readPrevious(
  input: Pick<AnalyzeInput, 'platform' | 'previous' | 'reporter'>,
  signal?: AbortSignal,
): Promise<PreviousImage | undefined> {
  const { source, name } = input.previous
  try {
    const image = await source.pull(name, input.platform, signal)
    const label = image === undefined ? undefined : labelOf(image.config, labels.lifecycle)
    if (image === undefined || label === undefined) return undefined
    return { image, metadata: parseLayersMetadata(label, `label ${labels.lifecycle} of ${name}`) }
  } catch (error) {
    if (!(error instanceof BaleError) || error.code !== 'input') throw error
    input.reporter.event({ type: 'warning', text: `the previous image ${name} cannot be used: ${error.message}` })
    return undefined
  }
}

/** How the run image is recorded in the app image (platform.md, "io.buildpacks.lifecycle.metadata"). */
export function runImageMetadata(
  runImage: Image,
  name: string,
  mirrors: readonly string[] = [],
  reference?: string,
): RunImageMetadata {
  const repository = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
  return {
    topLayer: runImage.layers.at(-1)?.diffId ?? '',
    reference: reference ?? `${repository}@${runImage.digest}`,
    image: name,
    ...(mirrors.length > 0 && { mirrors }),
  }
}
