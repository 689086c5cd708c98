import { settleAll } from '../concurrency.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import type { Platform } from '../image/manifest.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'
import { targetOf } from '../spec/target.ts'
import type { Analyzed, LayersMetadata, RunImageMetadata, Target } from '../spec/types.ts'
import type { Destination, ImageAt } from '../stores/open.ts'
import { readOsRelease } from './os-release.ts'
import { type RunImageNames, selectRunImage } from './run-image.ts'

/** The run image that a build requests, and the place to look up its names. */
export interface RunImageRequest {
  readonly names: RunImageNames
  /** Names of run images that a later phase may choose instead. */
  readonly others?: readonly string[]
  readonly open: (name: string) => Promise<ImageAt>
}

export interface AnalyzeInput {
  readonly platform: Platform
  /** The result of the last build, absent in a first build. */
  readonly previous: ImageAt
  readonly runImage: RunImageRequest
  /** The registry that the app image goes to, if any. */
  readonly registry?: string | undefined
  /** All destinations of the app image. */
  readonly destinations: readonly Pick<Destination, 'sink' | 'names'>[]
  /** A cache image that must be readable and writable. */
  readonly cacheImage?: Destination | undefined
  readonly reporter: Reporter
}

export interface Analysis {
  readonly runImage: SelectedRunImage
  /** The target of the app: CNB_TARGET_* of every buildpack. */
  readonly target: Target
  /** Present if a lifecycle made the previous image. */
  readonly previous?: PreviousImage
}

export interface SelectedRunImage {
  /** One of the requested names. */
  readonly name: string
  readonly names: RunImageNames
  readonly image: Image
}

export interface PreviousImage {
  readonly image: Image
  readonly metadata: LayersMetadata
}

/**
 * Reads the images that a build starts from and makes sure, before any work, that its result can be written (platform.md,
 * "analyzer").
 * @throws BaleError 'arguments' when the run image does not exist; a store's error when it cannot be read or written
 */
export async function analyze(input: AnalyzeInput, signal?: AbortSignal): Promise<Analysis> {
  const { cacheImage, destinations, platform } = input
  const [runImage, previous] = await settleAll([
    findRunImage(input, signal),
    readPrevious(input, signal),
    ...destinations.map(({ sink, names }) => sink.checkWrite(names, signal)),
    cacheImage?.sink.checkWrite(cacheImage.names, signal),
    cacheImage && checkCacheImage(cacheImage.previous, platform, signal),
  ])
  const target = await readTarget(runImage.image, near(runImage.image, previous), signal)
  return { runImage, target, previous }
}

/**
 * Finds the run image of a request.
 * @throws BaleError 'arguments' if it does not exist, if it is for another platform, or if the app would replace it
 */
export async function findRunImage(
  input: Pick<AnalyzeInput, 'runImage' | 'registry' | 'platform' | 'destinations' | 'reporter'>,
  signal?: AbortSignal,
): Promise<SelectedRunImage> {
  const { names, open } = input.runImage
  await refuseRunImage(input)
  const read = async (asked: string) => {
    const { source, name } = await open(asked)
    const image = await source.pull(name, input.platform, signal)
    return image === undefined ? { image, place: source.description } : { image }
  }
  const { registry, platform, reporter } = input
  const { name, found } = await selectRunImage({ names, registry, read, platform, reporter }, signal)
  return { name, names, image: found.image }
}

/**
 * Refuses to replace the run image (X33): every later app would be built on top of this app. Checks all names of the run image
 * before one is selected, since another build may select another name.
 */
async function refuseRunImage({
  runImage: { names, others = [], open },
  destinations,
}: Pick<AnalyzeInput, 'runImage' | 'destinations'>): Promise<void> {
  for (const asked of [names.image, ...names.mirrors, ...others]) {
    // Selection reports a name that cannot be opened.
    const at = await open(asked).catch((error: unknown) => {
      if (!(error instanceof BaleError)) throw error
    })
    if (!at) continue
    const store = at.source.description
    const taken = destinations.some(({ sink, names }) => sink.description === store && names.includes(at.name))
    if (!taken) continue
    throw new BaleError('arguments', `the app has the same name as its run image, ${at.name}, and would replace it`, {
      fix: 'give the app another name',
    })
  }
}

/**
 * Makes sure that a cache image can be read. A missing or damaged cache image counts as readable: it only costs time.
 * @throws BaleError of its store if it cannot be reached, or is refused
 */
export async function checkCacheImage(
  { source, name }: ImageAt,
  platform: Platform,
  signal?: AbortSignal,
): Promise<void> {
  await source.pull(name, platform, signal).catch((error: unknown) => {
    if (!(error instanceof BaleError) || error.code !== 'input') throw error
  })
}

/** Names images for analyzed.toml. */
export interface ImageNaming {
  /** The previous image's name. */
  readonly previous: string
  /** Names an image so that the next phase finds exactly this one. */
  identify(name: string, image: Image): string
}

/** Makes the result for the other phases (platform.md, "analyzed.toml"). */
export function analyzedOf(
  { runImage, previous, target }: Analysis,
  naming: ImageNaming,
  features: { readonly targets: boolean },
): Analyzed {
  return {
    ...(previous && {
      image: { reference: naming.identify(naming.previous, previous.image) },
      metadata: previous.metadata,
    }),
    runImage: {
      reference: naming.identify(runImage.name, runImage.image),
      image: runImage.name,
      ...(features.targets && { target }),
    },
  }
}

/**
 * The target of an app on a run image.
 * @param layers those of the image, from wherever they can be read
 */
export async function readTarget(image: Image, layers = image.layers, signal?: AbortSignal): Promise<Target> {
  const labelled = targetOfImage(image)
  // An image that was not made for buildpacks has no distribution labels, but its files name the distribution.
  return labelled.distro ? labelled : targetOfImage(image, await readOsRelease(layers, signal))
}

/** @param osRelease for an image whose labels do not name its distribution */
export function targetOfImage({ config }: Image, osRelease?: string): Target {
  const { os, architecture, variant } = config
  const labels = config.config?.Labels ?? {}
  return targetOf({ os, architecture, variant, labels }, osRelease)
}

/**
 * Returns the layers of the run image. Takes layers that the previous image shares from there, which may be on this machine.
 */
function near(runImage: Image, previous: PreviousImage | undefined): Layer[] {
  return runImage.layers.map(layer => previous?.image.layers.find(l => l.diffId === layer.diffId) ?? layer)
}

/**
 * Reads the previous image and its layers. If it was made by another tool or is damaged, the build starts from scratch, like
 * the first one.
 */
async function readPrevious(input: AnalyzeInput, signal?: AbortSignal): Promise<PreviousImage | undefined> {
  const { source, name } = input.previous
  try {
    const image = await source.pull(name, input.platform, signal)
    const label = image === undefined ? undefined : labelOf(image.config, labels.lifecycle)
    if (image === undefined || label === undefined || !isFor(image, input.platform)) return undefined
    return { image, metadata: parseLayersMetadata(label, `label ${labels.lifecycle} of ${name}`) }
  } catch (error) {
    if (!(error instanceof BaleError) || error.code !== 'input') throw error
    input.reporter.event({ type: 'warning', text: `the previous image ${name} cannot be used: ${error.message}` })
    return undefined
  }
}

/** This build cannot reuse layers of an image for another platform. */
const isFor = ({ config }: Image, { os, architecture }: Platform): boolean =>
  config.os === os && config.architecture === architecture

/** Makes the run image's record in the app image (platform.md, "io.buildpacks.lifecycle.metadata"). */
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
