import type { Image } from '../image/image.ts'
import { makeImageIndex, sizeOfIndex } from '../image/image-index.ts'
import type { Platform } from '../image/manifest.ts'
import { platformName } from '../image/validate.ts'
import { BaleError } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import type { Report } from '../spec/types.ts'
import { type Destination, Stores } from '../stores/open.ts'
import { type ImageSink, type PublishedIndex, indexSink } from '../stores/store.ts'
import { dockerArchive } from '../stores/docker-archive/transport.ts'
import { dockerDaemon } from '../stores/daemon/transport.ts'
import { ociArchive } from '../stores/oci-archive/transport.ts'
import { type BuildResult, buildIn } from './build-app.ts'
import { type BuildOptions, packingOf } from './build-options.ts'
import { findDistribution } from './distribution.ts'
import { withOpenBuild } from './open-build.ts'
import { withDisplayNames } from './publish.ts'
import { emulatorFor } from './settings.ts'

/** Images of one application for several platforms, under one name. */
export interface PlatformsResult {
  /** In the order in which they were asked for. */
  readonly builds: readonly { readonly platform: Platform; readonly result: BuildResult }[]
  /** The index at the first destination. */
  readonly published: PublishedIndex
  readonly report: Report
  /** Every name of the index, in all transports. */
  readonly names: readonly string[]
}

/**
 * Builds source code for several platforms, one after another, and publishes an index of the images. Each image is the same
 * as from a build for its platform alone. Names move when all images are built: after a failure they refer to the earlier image.
 * @throws BaleError; `exitStatusOf(error)` is the exit status of `bale build`
 */
export async function buildPlatforms(
  options: BuildOptions,
  platforms: readonly [Platform, ...Platform[]],
): Promise<PlatformsResult> {
  const { settings, reporter = silent, signal = new AbortController().signal } = options
  refuseForSeveral(options)
  const { container } = options.distribution ?? findDistribution(import.meta.url)
  if (container !== undefined)
    throw new BaleError('arguments', 'a builder image builds only for its own platform', {
      where: '--platform',
      fix: 'build in the builder image of each platform, and combine the images: bale manifest create',
    })
  for (const { architecture } of platforms) await emulatorFor(settings, architecture)
  await using stores = new Stores(settings, reporter, packingOf(options))
  const names = [options.image, ...(options.tags ?? [])]
  for (const name of names) requireIndexable(name, stores)
  const destinations = await stores.destinations(names, options.publish === true)
  for (const { sink, names } of destinations) await indexSink(sink).checkWrite(names, signal, 'index')

  const builds: PlatformsResult['builds'][number][] = []
  /** The images at each destination. */
  const images: Image[][] = destinations.map(() => [])
  for (const platform of platforms) {
    reporter.event({ type: 'note', level: 'info', text: `Building for ${platformName(platform)}` })
    const single = { ...options, settings: { ...settings, platform }, reporter: withoutSaved(reporter) }
    const result = await withOpenBuild(single, (opened, signal) => {
      const entries = opened.destinations.map((destination, n) => asEntry(destination, image => images[n]?.push(image)))
      return buildIn({ ...opened, destinations: entries as [Destination, ...Destination[]] }, signal)
    })
    builds.push({ platform, result })
  }

  const indexes: PublishedIndex[] = []
  for (const [n, destination] of destinations.entries()) {
    const index = makeImageIndex(images[n] ?? [])
    const published = await indexSink(destination.sink).putIndex(index, destination.names, signal)
    indexes.push(published)
    const { digest, names } = published
    const size = sizeOfIndex(index)
    withDisplayNames(destination, reporter).event({ type: 'saved', names: [...names], digest, size })
  }
  const [published] = indexes as [PublishedIndex, ...PublishedIndex[]]
  const { digest, manifestSize, names: tags } = published
  return {
    builds,
    published,
    report: { tags, digest, manifestSize },
    names: indexes.flatMap(index => index.names),
  }
}

/** Wraps a destination to store an image without its names, which are for the index. */
function asEntry(destination: Destination, onImage: (image: Image) => void): Destination {
  const { sink, names } = destination
  const entry: ImageSink = {
    description: sink.description,
    checkWrite: (asked, signal) => sink.checkWrite(asked, signal, 'index'),
    putLayer: (layer, signal) => sink.putLayer(layer, signal),
    async putImage(image, _names, signal) {
      const published = await sink.putImage(image, [], signal)
      onImage(image)
      return { ...published, names }
    },
  }
  return { ...destination, sink: entry }
}

/** Drops `saved` events, since names move only once, at the end. */
function withoutSaved(reporter: Reporter): Reporter {
  let told = false
  return {
    event(event) {
      if (event.type !== 'saved') return reporter.event(event)
      // The images at other destinations are copies.
      if (!told)
        reporter.event({ type: 'note', level: 'info', text: `Made its image ${event.digest ?? event.imageId}` })
      told = true
    },
    drained: () => reporter.drained?.(),
    close: () => reporter.close(),
  }
}

/** @throws BaleError 'usage' for an option that works for one platform only */
function refuseForSeveral({ cacheImage, cacheTo = [] }: BuildOptions): void {
  const refuse = (what: string, where: string): never => {
    throw new BaleError('usage', `${what} can only store the cache of one platform`, {
      where,
      fix: 'leave it out, or build for each platform separately and combine the images: bale manifest create',
    })
  }
  if (cacheImage !== undefined) refuse('a cache image', '--cache-image with several platforms')
  if (cacheTo.some(text => /(^|,)type=registry(,|$)/.test(text) || !text.includes('=')))
    refuse('a cache image', '--cache-to type=registry with several platforms')
}

/** @throws BaleError 'arguments' for a store without indexes, and for an archive, which is written in one pass */
function requireIndexable(name: string, stores: Stores): void {
  const { prefix } = stores.parse(name).transport
  if (prefix === dockerDaemon.prefix || prefix === dockerArchive.prefix)
    throw new BaleError('arguments', 'it cannot hold an index of images for several platforms', {
      where: name,
      fix: "use a registry, oci:DIR, or Bale's own store",
    })
  if (prefix !== ociArchive.prefix) return
  throw new BaleError(
    'arguments',
    'an archive is written in one pass, but images for several platforms are built one after another',
    {
      where: name,
      fix: 'write oci:DIR; an OCI archive is a tar of that: tar -C DIR -cf FILE .',
    },
  )
}
