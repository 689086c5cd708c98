import { publishElsewhere, withDisplayNames } from './publish.ts'
import { platformApi } from './api.ts'
import { type RebaseCheck, compareRunImages } from './rebase-check.ts'
import { rebaseIndex } from './rebase-index.ts'
import type { Settings } from './settings.ts'
import { BaleError, inPhase } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import type { ImageIndex } from '../image/image-index.ts'
import type { Platform } from '../image/manifest.ts'
import { type AppImage, type NewRunImage, type Rebased, findRunImage, rebase as rebasePhase } from '../phases/rebase.ts'
import { requirePlatformApi } from '../spec/api.ts'
import { dockerDaemon } from '../stores/daemon/transport.ts'
import type { Report } from '../spec/types.ts'
import { type ImageAt, Stores, identify } from '../stores/open.ts'
import { type PullPolicy, placesOf } from '../stores/pull-policy.ts'
import { isPlain } from '../stores/transports.ts'

export interface RebaseOptions {
  /** The app image, in skopeo's notation. A plain name means Bale's own store. */
  readonly image: string
  readonly settings: Settings
  /** The new run image, in any transport. By default the newest version of the one that the app was built on. */
  readonly runImage?: string
  /** The image to rebase, if `image` is only the name of the result. */
  readonly previousImage?: string | undefined
  /** Where a plain run image is read: anywhere, with the machine first, by default. */
  readonly pullPolicy?: PullPolicy | undefined
  /** Additional names for the result, in any transport. */
  readonly tags?: readonly string[]
  /** Plain names mean their registries, not Bale's own store. */
  readonly publish?: boolean
  /** Rebases even where labels and targets forbid it. */
  readonly force?: boolean
  readonly reporter?: Reporter
  readonly signal?: AbortSignal
}

/** `names` are all names of the image or index, in all transports. */
export type RebaseResult = { readonly names: readonly string[]; readonly report: Report } & (
  ({ readonly kind: 'image' } & Rebased) | { readonly kind: 'index'; readonly index: ImageIndex }
)

/**
 * Puts the newest run image below an image's layers, without a build. Of an index, rebases every image.
 * @throws BaleError
 */
export async function rebase(options: RebaseOptions): Promise<RebaseResult> {
  const { settings, signal } = options
  const reporter = options.reporter ?? silent
  await using stores = new Stores(settings, reporter)
  const names = [options.image, ...(options.tags ?? [])]
  const destinations = await stores.destinations(names, options.publish === true)
  const [destination, ...others] = destinations
  const { source, name, app } = await previousOf(options, stores)
  const how = { force: options.force === true, features: requirePlatformApi(platformApi) }
  const runImageFor = (app: AppImage): Promise<NewRunImage> => runImageOf(app, { stores, options, reporter })

  const index = await source.pullIndex(name, signal)
  if (index !== undefined) {
    const input = { index, app, findRunImage: runImageFor, destinations, ...how, reporter }
    const rebased = await inPhase('rebase', () => rebaseIndex(input, signal))
    const { digest, bytes } = rebased.index
    return { kind: 'index', ...rebased, report: { tags: rebased.names, digest, manifestSize: bytes.length } }
  }
  const image = await source.pull(name, settings.platform, signal)
  if (image === undefined) throw missing(options, stores, source.description)
  const runImage = await runImageFor({ ...app, image })
  const input = { app: { ...app, image }, runImage, destination, ...how }
  const rebased = await inPhase('rebase', () =>
    rebasePhase({ ...input, reporter: withDisplayNames(destination, reporter) }, signal),
  )
  const elsewhere = await publishElsewhere(rebased.image, others, reporter, signal)
  const all = [...rebased.published.names, ...elsewhere]
  return { kind: 'image', ...rebased, names: all, report: { ...rebased.report, tags: all } }
}

/**
 * Checks for an image, or for each image of an index, whether a newer run image exists. Changes nothing.
 * @throws BaleError
 */
export async function checkRebase(options: RebaseOptions): Promise<readonly RebaseCheck[]> {
  const { settings, signal } = options
  const reporter = options.reporter ?? silent
  await using stores = new Stores(settings, reporter)
  const { source, name, app } = await previousOf(options, stores)
  const index = await source.pullIndex(name, signal)
  const image = index === undefined ? await source.pull(name, settings.platform, signal) : undefined
  const images = index === undefined ? [image].filter(one => one !== undefined) : index.manifests.map(m => m.image)
  if (images.length === 0) throw missing(options, stores, source.description)
  const checks: RebaseCheck[] = []
  for (const one of images) {
    const runImage = await runImageOf({ ...app, image: one }, { stores, options, reporter })
    checks.push(await compareRunImages(one, runImage, signal))
  }
  return checks
}

/** Returns the place of the image to rebase. */
async function previousOf(
  { image, previousImage = image, publish }: RebaseOptions,
  stores: Stores,
): Promise<ImageAt & { readonly app: Omit<AppImage, 'image'> }> {
  const [{ registry, previous }] = await stores.destinations([previousImage], publish === true)
  return { ...previous, app: { name: previous.name === '' ? previousImage : previous.name, registry } }
}

function runImageOf(
  app: AppImage,
  { stores, options, reporter }: { stores: Stores; options: RebaseOptions; reporter: Reporter },
): Promise<NewRunImage> {
  const { signal, runImage: wanted, pullPolicy } = options
  const only = placesOf(pullPolicy)
  const daemonFirst = stores.parse(options.image).transport === dockerDaemon
  const find = async (text: string, platform: Platform): Promise<NewRunImage> => {
    const found = await stores.find(text, signal, { platform, daemonFirst, lazy: true, only })
    // The app image must not record a path of this machine.
    const name = found.reference.transport.isPath ? '' : found.name
    return { name, image: found.image, reference: identify(found) }
  }
  return findRunImage({ app, wanted, find, reporter }, signal)
}

function missing(
  { image: result, previousImage: image = result, publish }: RebaseOptions,
  stores: Stores,
  where: string,
): BaleError {
  // --publish changes the meaning of plain names only.
  const isLocal = publish !== true && isPlain(stores.parse(image))
  return new BaleError('arguments', `there is no image ${image} in ${where}`, {
    fix: isLocal
      ? 'list the images: bale image ls; for an image in a registry, add --publish'
      : 'correct its name, or build it first',
  })
}
