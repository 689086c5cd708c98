import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import { leaseName } from '../../files/lease.ts'
import { removeTree } from '../../files/remove.ts'
import { envOf } from '../../image/config.ts'
import { type Image, sizeOf } from '../../image/image.ts'
import { makeImageIndex } from '../../image/image-index.ts'
import type { Platform } from '../../image/manifest.ts'
import type { RunDocument } from '../../spec/types.ts'
import type { Destination, Stores } from '../../stores/open.ts'
import { type PullPolicy, locate } from '../../stores/pull-policy.ts'
import { indexSink } from '../../stores/store.ts'
import { type Builder, loadBuilder } from '../builder.ts'
import { type Distribution, bundledIn } from '../distribution.ts'
import { type Settings, emulatorFor } from '../settings.ts'
import { ownLifecycle, packedLifecycle } from './builder-lifecycle.ts'
import { type ImagePlan, storeLayers } from './image-plan.ts'
import { type BuilderParts, makeBuilder } from './make-builder.ts'
import { openBuildpack } from './open-buildpack.ts'

export interface CreateBuilderInput {
  /** The name of the image, in any transport. */
  readonly image: string
  readonly tags?: readonly string[] | undefined
  /** A builder.toml, or a directory with one. */
  readonly config: string
  readonly publish?: boolean | undefined
  readonly pullPolicy?: PullPolicy | undefined
  /** The name of the run image in the builder, in place of the one in builder.toml. */
  readonly runImage?: string | undefined
  /** Replaces the targets in builder.toml; by default this machine's platform. Several targets make an index. */
  readonly targets?: readonly Platform[] | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly settings: Settings
  readonly stores: Stores
  readonly distribution: Distribution
  readonly reporter: Reporter
}

/**
 * Makes a builder image from a builder.toml. The same inputs give the same image.
 * @throws BaleError for an unusable builder.toml, with the place of the error
 */
export async function createBuilder(input: CreateBuilderInput, signal: AbortSignal): Promise<void> {
  const { stores, settings, targets } = input
  const destinations = await stores.destinations([input.image, ...(input.tags ?? [])], input.publish === true)
  const builder = await loadBuilder(input.config, (uri, file, kind) =>
    openBuildpack(
      uri,
      file,
      { ...input, bundled: bundledIn(input.distribution), builder: [], base: dirname(file), kind },
      signal,
    ),
  )
  const named = targets ?? builder.targets
  const platforms = named.length === 0 ? [settings.platform] : named
  const work = join(settings.cacheDir, 'tmp', leaseName())
  try {
    const plans: ImagePlan[] = []
    for (const platform of platforms) plans.push(await planFor(platform, builder, work, input, signal))
    await publishPlans(plans, destinations, input.reporter, signal)
  } finally {
    await removeTree(work)
  }
}

/** Stores one image, or an index of several, at all destinations. */
export async function publishPlans(
  plans: readonly ImagePlan[],
  destinations: readonly Destination[],
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  for (const { sink, names, displayNames } of destinations) {
    await sink.checkWrite(names, signal, plans.length > 1 ? 'index' : 'image')
    const images: Image[] = []
    for (const plan of plans) images.push(await storeLayers(plan, sink, signal))
    const size = images.reduce((sum, image) => sum + sizeOf(image), 0)
    const [image] = images
    if (image === undefined) return
    if (images.length === 1) {
      const { digest, imageId } = await sink.putImage(image, names, signal)
      reporter.event({ type: 'saved', names: [...displayNames], digest, imageId, size })
    } else {
      const { digest } = await indexSink(sink).putIndex(makeImageIndex(images), names, signal)
      reporter.event({ type: 'saved', names: [...displayNames], digest, imageId: image.imageId, size })
    }
  }
}

async function planFor(
  platform: Platform,
  builder: Builder,
  work: string,
  input: CreateBuilderInput,
  signal: AbortSignal,
): Promise<ImagePlan> {
  const { settings, distribution, labels } = input
  const lifecycle =
    builder.lifecycle === undefined
      ? await ownLifecycle(distribution, platform)
      : await packedLifecycle(builder.lifecycle, { cacheDir: settings.cacheDir, distribution, platform }, signal)
  const base = await baseOf(platform, builder, work, input, signal)
  const user = [envOf(base.config, 'CNB_USER_ID'), envOf(base.config, 'CNB_GROUP_ID')]
  if (user.some(id => id === undefined || !/^\d{1,10}$/.test(id)))
    throw new BaleError('input', 'the build image has no user: CNB_USER_ID and CNB_GROUP_ID are not set to numbers', {
      where: builder.buildImage ?? builder.file,
      fix: 'use a build image that sets them',
    })
  const plan = makeBuilder({ ...builder, base, lifecycle, runImage: runImageOf(builder, input) })
  if (labels === undefined) return plan
  return {
    ...plan,
    config: layers => {
      const config = plan.config(layers)
      return { ...config, config: { ...config.config, Labels: { ...config.config?.Labels, ...labels } } }
    },
  }
}

function runImageOf(builder: Builder, { runImage }: CreateBuilderInput): RunDocument['images'][number] {
  if (runImage !== undefined) return { image: runImage, mirrors: [] }
  if (builder.runImage !== undefined) return builder.runImage
  throw new BaleError('arguments', 'the builder needs the name under which its users pull the run image', {
    where: builder.file,
    fix: 'give --run-image, or add [[run.images]]',
  })
}

/** Returns the build image, from a registry or another store, or of a stack. */
async function baseOf(
  platform: Platform,
  { buildImage, stackDir, file }: Builder,
  work: string,
  input: CreateBuilderInput,
  signal: AbortSignal,
): Promise<BuilderParts['base']> {
  if (buildImage === undefined) return stackBase(resolve(stackDir ?? dirname(file)), platform, work, input, signal)
  const at = await locate(input.stores, buildImage, platform, input.pullPolicy, signal)
  const image = await at.source.pull(at.name, platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no build image ${buildImage} in ${at.source.description}`, {
      where: file,
    })
  const { os, architecture } = image.config
  if (os !== platform.os || architecture !== platform.architecture)
    throw new BaleError('input', `the build image is for ${os}/${architecture}, not ${platform.architecture}`, {
      where: buildImage,
      fix: 'name an index with that platform, or leave out the target',
    })
  return { layers: image.layers, config: image.config }
}

/** Makes a stack's build image again: the unpacked one for builds on this machine has lost the owners of its files. */
async function stackBase(
  stackDir: string,
  platform: Platform,
  work: string,
  { settings, reporter }: CreateBuilderInput,
  signal: AbortSignal,
): Promise<BuilderParts['base']> {
  const { createStack } = await import('../../stacks/create.ts')
  reporter.event({
    type: 'note',
    level: 'info',
    text: 'Making the build image from Debian packages; this takes a minute',
  })
  const outDir = join(work, platform.architecture)
  await mkdir(outDir, { recursive: true, mode: 0o700 })
  const { environment, debianMirror: mirror } = settings
  const arch = platform.architecture
  const emulator = await emulatorFor(settings, arch)
  const { build } = await createStack({ stackDir, outDir, arch, emulator, environment, mirror, signal })
  const tar = () => createReadStream(build.tar, { highWaterMark: 1024 * 1024 })
  return { layers: [{ kind: 'source', createdBy: 'Debian packages', tar }], config: build.config }
}
