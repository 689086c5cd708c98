import type { Reporter } from '../events.ts'
import { BaleError } from '../errors.ts'
import { type ImageIndex, type IndexedImage, makeImageIndex, platformOf, sizeOfIndex } from '../image/image-index.ts'
import { isIndex } from '../image/media-types.ts'
import { platformName } from '../image/validate.ts'
import { type AppImage, type NewRunImage, rebaseLayers } from '../phases/rebase.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { copyIndex } from '../stores/copy.ts'
import type { Destination } from '../stores/open.ts'
import { indexSink } from '../stores/store.ts'

export interface RebaseIndexInput {
  readonly index: ImageIndex
  readonly app: Omit<AppImage, 'image'>
  /** Finds the run image for the platform of an app image. */
  readonly findRunImage: (app: AppImage) => Promise<NewRunImage>
  readonly destinations: readonly [Destination, ...Destination[]]
  readonly force: boolean
  readonly features: PlatformFeatures
  readonly reporter: Reporter
}

/**
 * Rebases every image of an index, and replaces it by an index of the results. No platform is lost, and the names move after
 * the last image is stored.
 * @throws BaleError if one of the images cannot be rebased
 */
export async function rebaseIndex(
  input: RebaseIndexInput,
  signal?: AbortSignal,
): Promise<{ readonly index: ImageIndex; readonly names: readonly string[] }> {
  const { index, destinations, reporter } = input
  const [destination, ...others] = destinations
  checkEntries(index, input.app.name, reporter)
  const sink = indexSink(destination.sink)
  for (const { sink: other } of others) indexSink(other)
  await sink.checkWrite(destination.names, signal, 'index')

  const manifests: IndexedImage[] = []
  for (const entry of index.manifests) {
    const { image, platform = platformOf(image) } = entry
    const app = { ...input.app, name: `${input.app.name} (${platformName(platform)})`, image }
    const runImage = await input.findRunImage(app)
    manifests.push({ ...entry, image: await rebaseLayers({ ...input, app, runImage, destination }, signal) })
  }
  const rebased = makeImageIndex(manifests, index.document.annotations)
  const published = await sink.putIndex(rebased, destination.names, signal)
  const names = [...published.names]
  const saved = { type: 'saved', size: sizeOfIndex(rebased) } as const
  reporter.event({ ...saved, names: [...destination.displayNames], digest: published.digest })
  for (const other of others) {
    const copied = await copyIndex(rebased, other.sink, other.names, signal)
    reporter.event({ ...saved, names: [...other.displayNames], digest: copied.digest })
    names.push(...copied.names)
  }
  return { index: rebased, names }
}

/** Attestations and signatures apply to the old images. A nested index may contain more images, which would be lost. */
function checkEntries({ others, manifests }: ImageIndex, name: string, reporter: Reporter): void {
  const nested = others.find(({ mediaType }) => isIndex(mediaType))
  if (nested !== undefined || manifests.length === 0) {
    const what = nested === undefined ? 'no images' : `another index: ${nested.digest}`
    throw new BaleError('input', `it is an index that contains ${what}`, {
      where: name,
      fix: 'rebase its images one by one',
    })
  }
  if (others.length === 0) return
  const digests = others.map(({ digest }) => digest).join(', ')
  reporter.event({
    type: 'warning',
    text: `${name}: the new index does not contain the attestations, which are about the images before the rebase: ${digests}`,
  })
}
