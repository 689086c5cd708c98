import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { constantDate, envOf, labelOf } from '../image/config.ts'
import { type Image, sizeOf } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import type { Platform } from '../image/manifest.ts'
import { countRunImageLayers, rebaseImage } from '../image/rebased-image.ts'
import { formatReference, parseReference } from '../image/reference.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { labels, parseLayersMetadata, rebaseLayersMetadata } from '../spec/labels.ts'
import { quote } from '../spec/read.ts'
import { type RebaseParty, countOwnLayers, obstaclesToRebase } from '../spec/rebasable.ts'
import type { LayersMetadata, Report, RunImageMetadata } from '../spec/types.ts'
import type { ImageSink, Published } from '../stores/store.ts'
import { targetOfImage } from './analyze.ts'
import { inOrder } from '../concurrency.ts'
import { selectRunImage } from './run-image.ts'

/** An image to rebase, with the user's name for it. */
export interface AppImage {
  readonly name: string
  readonly image: Image
  /** The registry that holds it, if one does. Run images in that registry come first. */
  readonly registry?: string
}

export interface NewRunImage {
  /** The name that a label records. Empty for an image without a name, such as one from a file. */
  readonly name: string
  readonly image: Image
  /** Identifies exactly this image: `registry/repository@sha256:…`, or the bare image ID in a daemon. */
  readonly reference: string
}

export interface FindRunImageInput {
  readonly app: AppImage
  /** The name that the user gives. Without it, the names that the app image records are tried. */
  readonly wanted?: string
  /** Finds an image. Returns undefined or throws a BaleError if it does not exist. */
  readonly find: (name: string, platform: Platform, signal?: AbortSignal) => Promise<NewRunImage | undefined>
  readonly reporter: Reporter
}

/**
 * Selects the run image to put an app on: the requested one, or else the first readable one of those that the app image
 * records, with the app's own registry first (platform.md, "Run Image Resolution").
 * @throws BaleError 'arguments' if the app image records no run image, or none of them can be read
 */
export async function findRunImage(input: FindRunImageInput, signal?: AbortSignal): Promise<NewRunImage> {
  const { app, wanted, find, reporter } = input
  const platform = app.image.config
  if (wanted !== undefined) {
    const found = await find(wanted, platform, signal)
    if (found !== undefined) return found
    throw new BaleError('failed', `there is no run image ${wanted}`)
  }
  const { runImage: recorded } = readLabel(app).metadata
  if (recorded?.image === undefined)
    throw new BaleError('arguments', 'the app image does not record its run image', {
      where: app.name,
      fix: 'give the run image to rebase on',
    })
  const selected = await selectRunImage<NewRunImage>(
    {
      names: { image: recorded.image, mirrors: recorded.mirrors ?? [] },
      registry: app.registry,
      read: async name => (await find(name, platform, signal)) ?? { image: undefined, place: 'its registry' },
      reporter,
    },
    signal,
  )
  return selected.found
}

export interface RebaseInput {
  readonly app: AppImage
  readonly runImage: NewRunImage
  readonly destination: { readonly sink: ImageSink }
  /** Rebases even where labels and targets forbid it. */
  readonly force: boolean
  readonly features: PlatformFeatures
  readonly reporter: Reporter
}

export interface Rebased {
  readonly image: Image
  readonly published: Published
  readonly report: Report
}

const parallelLayers = 4

/**
 * Puts an app image on another run image and stores it (platform.md, "rebaser").
 * @throws BaleError like `rebaseLayers`
 */
export async function rebase(
  input: RebaseInput & { readonly destination: { readonly names: readonly string[] } },
  signal?: AbortSignal,
): Promise<Rebased> {
  const { destination, reporter } = input
  const image = await rebaseLayers(input, signal)
  const published = await destination.sink.putImage(image, destination.names, signal)
  const { digest, imageId, manifestSize, names } = published
  reporter.event({ type: 'saved', names: [...names], digest, imageId, size: sizeOf(image) })
  return { image, published, report: { tags: names, digest, imageId, manifestSize } }
}

/**
 * Returns the app image on another run image. Its layers are in the destination; the caller stores config and manifest.
 * Makes new config and manifest. Reads no layer that the store already has or can copy itself.
 * @throws BaleError 'input' when the app image was not made by a lifecycle, or may not be put on this run image
 */
export async function rebaseLayers(input: RebaseInput, signal?: AbortSignal): Promise<Image> {
  const { app, runImage, features, destination, reporter } = input
  const { json, metadata, where } = readLabel(app)
  const below = countRunImageLayers(app.image, metadata.runImage?.topLayer ?? '', countOwnLayers(metadata))
  if (below === undefined)
    throw new BaleError('input', 'its label names a last layer of the run image, but the image has no such layer', {
      where,
      fix: 'build it again',
    })
  const renamed = features.targets && !isRecorded(runImage.name, metadata.runImage)
  checkAllowed(input, metadata, renamed)
  reporter.event({
    type: 'note',
    level: 'info',
    text: `Rebasing ${app.name} on run image ${runImage.name || runImage.reference}`,
  })

  const put = (layers: readonly Layer[]) =>
    inOrder(layers, parallelLayers, layer => destination.sink.putLayer(layer, signal))
  const base = await put(runImage.image.layers)
  const own = await put(app.image.layers.slice(below))
  const change = {
    topLayer: base.at(-1)?.diffId ?? '',
    reference: runImage.reference,
    ...(renamed && runImage.name !== '' && { renamed: runImage.name }),
  }
  return rebaseImage(
    { ...app.image, layers: [...app.image.layers.slice(0, below), ...own] },
    { ...runImage.image, layers: base },
    {
      below,
      labels: { [labels.lifecycle]: rebaseLayersMetadata(json, change, where) },
      labelPrefixes: ['io.buildpacks.stack.', ...(features.targets ? ['io.buildpacks.base.'] : [])],
      // Keeps the SOURCE_DATE_EPOCH of the build, so that the same two images always give the same result.
      created: constantDate,
    },
  )
}

/** Throws if the rebase is not allowed. With `force`, warns instead. */
function checkAllowed(input: RebaseInput, metadata: LayersMetadata, unrecorded: boolean): void {
  const { app, runImage, force, reporter } = input
  const platformApi = envOf(app.image.config, 'CNB_PLATFORM_API')
  const obstacles = [
    ...obstaclesToRebase({ ...partyOf(app.image), metadata, platformApi }, partyOf(runImage.image)),
    ...(unrecorded ? [{ why: unrecordedWords(runImage.name || runImage.reference, metadata.runImage) }] : []),
  ]
  const against = obstacles.filter(o => !force || o.always === true)
  if (against.length > 0) {
    throw new BaleError('input', `${app.name} cannot be rebased: ${against.map(o => o.why).join('; ')}`, {
      fix: against.some(o => o.always)
        ? 'build it again'
        : 'build it again, or force the rebase if you know that the app runs on this run image',
    })
  }
  for (const { why } of obstacles)
    reporter.event({ type: 'warning', text: `${app.name} is rebased because force is set, although ${why}` })
}

function unrecordedWords(name: string, recorded: RunImageMetadata | undefined): string {
  const names = recordedNames(recorded)
  const known = names.length === 0 ? 'none' : names.map(quote).join(', ')
  return `${quote(name)} is not one of the run images that it was built for (${known})`
}

const partyOf = (image: Image): RebaseParty => ({
  target: targetOfImage(image),
  labels: image.config.config?.Labels ?? {},
})

function readLabel({ name, image }: AppImage): { json: string; metadata: LayersMetadata; where: string } {
  const where = `${name} label ${labels.lifecycle}`
  const json = labelOf(image.config, labels.lifecycle)
  if (json === undefined)
    throw new BaleError('input', 'the label is missing: buildpacks did not build the image, so it cannot be rebased', {
      where,
    })
  return { json, metadata: parseLayersMetadata(json, where), where }
}

const recordedNames = (recorded: RunImageMetadata | undefined): readonly string[] =>
  recorded?.image === undefined ? [] : [recorded.image, ...(recorded.mirrors ?? [])]

/** Returns whether the app was built for a run image of that name, with any digest. */
function isRecorded(name: string, recorded: RunImageMetadata | undefined): boolean {
  return recordedNames(recorded).some(known => comparable(known) === comparable(name))
}

function comparable(name: string): string {
  const [tagged = ''] = name.split('@', 1)
  try {
    return formatReference(parseReference(tagged))
  } catch {
    return name
  }
}
