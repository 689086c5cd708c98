import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { canLayer } from '../../engines/overlay.ts'
import { BaleError } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import type { Image } from '../../image/image.ts'
import { platformOf } from '../../image/image-index.ts'
import { platformName } from '../../image/validate.ts'
import { supportedPlatformApis } from '../../spec/api.ts'
import type { Order } from '../../spec/types.ts'
import type { Stores } from '../../stores/open.ts'
import { platformApi } from '../api.ts'
import type { BuildEnvironment, Lifecycle, LifecycleChoice } from '../build-environment.ts'
import type { Builder } from '../builder.ts'
import type { Distribution } from '../distribution.ts'
import { ownDirectory } from '../../files/own-directory.ts'
import type { Settings } from '../settings.ts'
import { type BuilderImage, readBuilderContents, userOf } from './builder-image.ts'
import { type PullPolicy, locate } from '../../stores/pull-policy.ts'
import { pullBuilder } from './pull-builder.ts'
import { nodeRuntime } from './node-runtime.ts'
import { unpackedLayers } from './unpacked-layers.ts'

/** Image extensions need sandboxes of Bale's own, and its own phases in them. */
export function withoutExtensions(order: Order, name: string, reporter: Reporter): Order {
  if (order.extensions.length > 0)
    reporter.event({
      type: 'warning',
      text: `the image extensions of ${name} are not used: they need Bale's own lifecycle on a machine, not in a container`,
      fix: 'if buildpacks need their packages, run bale build on a machine, without --lifecycle builder',
    })
  return { ...order, extensions: [] }
}

export interface ImageEnvironmentInput {
  /** The image's name, in any transport. */
  readonly builder: string
  readonly lifecycle: LifecycleChoice
  readonly pullPolicy?: PullPolicy | undefined
  readonly distribution: Distribution
  readonly settings: Settings
  readonly stores: Stores
  readonly reporter: Reporter
}

/**
 * Opens the environment that a builder image provides: its layers, unpacked and overlaid, and its order,
 * buildpacks, user and run images.
 * @throws BaleError 'input' for an unusable image, with the reason
 */
export async function imageEnvironment(input: ImageEnvironmentInput, signal: AbortSignal): Promise<BuildEnvironment> {
  const { builder: name, settings, reporter, distribution } = input
  const { platform } = settings
  const builder = await pullBuilder(name, { ...input, platform }, signal)
  requireArchitecture(builder.image, name, settings)
  const lifecycle = lifecycleOf(input, builder)
  const layers = await layersOf(builder.image, settings, reporter, signal)
  const { buildpacks, extensions, order, runImages } = await readBuilderContents(builder, layers, name)
  const [runImage] = runImages
  return {
    rootfs: { layers, config: builder.image.config },
    buildImage: builder.image,
    hasBuildpacks: true,
    buildpacks: buildpacks.map(descriptor => ({ descriptor })),
    extensions: extensions.map(descriptor => ({ descriptor })),
    order: input.lifecycle === 'bale' ? order : withoutExtensions(order, name, reporter),
    lifecycle: { ...lifecycle, launcher: distribution.launcher(settings.platform.architecture) },
    user: builder.user,
    runImages: {
      names: runImage ?? { image: '', mirrors: [] },
      open: async text => {
        if (text !== '') return locate(input.stores, text, platform, input.pullPolicy, signal)
        throw new BaleError('input', `the builder ${name} does not name a run image`, {
          fix: 'give one with --run-image',
        })
      },
    },
    knownRunImages: runImages,
    buildConfig: [],
  }
}

export interface BuildImageInput {
  readonly builder: Builder
  readonly pullPolicy?: PullPolicy | undefined
  readonly distribution: Distribution
  readonly settings: Settings
  readonly stores: Stores
  readonly reporter: Reporter
}

/** Opens the environment of a builder.toml on a build image: its layers, and the builder's buildpacks as mounts. */
export async function buildImageEnvironment(input: BuildImageInput, signal: AbortSignal): Promise<BuildEnvironment> {
  const { builder, distribution, settings, stores, pullPolicy, reporter } = input
  const { platform } = settings
  const name = builder.buildImage ?? ''
  const at = await locate(stores, name, platform, pullPolicy, signal)
  const image = await at.source.pull(at.name, platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no build image ${name} in ${at.source.description}`, {
      where: builder.file,
      fix: 'correct its name',
    })
  requireArchitecture(image, name, settings)
  return {
    rootfs: { layers: await layersOf(image, settings, reporter, signal), config: image.config },
    buildImage: image,
    hasBuildpacks: false,
    buildpacks: builder.buildpacks,
    extensions: builder.extensions,
    order: builder.order,
    lifecycle: {
      phases: { from: 'bale', dir: distribution.lifecycleDir, runtime: nodeRuntime(distribution) },
      platformApi,
      launcher: distribution.launcher(platform.architecture),
    },
    user: userOf(image, name),
    runImages: {
      names: builder.runImage ?? { image: '', mirrors: [] },
      open: text => locate(stores, text, platform, pullPolicy, signal),
    },
    knownRunImages: builder.knownRunImages ?? [],
    buildConfig: builder.buildConfig,
  }
}

function requireArchitecture(image: Image, name: string, { platform }: Settings): void {
  if (image.config.os === platform.os && image.config.architecture === platform.architecture) return
  throw new BaleError('input', `the builder is for ${platformName(platformOf(image))}`, {
    where: name,
    fix: `use a builder for ${platformName(platform)}, or name its platform with --platform`,
  })
}

/** @throws BaleError 'platform-api' if the image's lifecycle and Bale have no Platform API in common */
function lifecycleOf(
  { lifecycle, distribution, builder: name }: ImageEnvironmentInput,
  { metadata }: BuilderImage,
): Pick<Lifecycle, 'phases' | 'platformApi'> {
  if (lifecycle === 'bale') {
    const { lifecycleDir: dir } = distribution
    return { phases: { from: 'bale', dir, runtime: nodeRuntime(distribution) }, platformApi }
  }
  const { platformApis, version } = metadata.lifecycle
  const common = platformApis.filter(api => supportedPlatformApis.includes(api)).at(-1)
  if (common !== undefined) return { phases: { from: 'image' }, platformApi: common }
  const theirs = platformApis.length === 0 ? 'does not declare its Platform APIs' : `has ${platformApis.join(', ')}`
  throw new BaleError('platform-api', `the builder's lifecycle ${version} ${theirs}`.replace('  ', ' '), {
    where: name,
    fix: `use --lifecycle bale, or a builder whose lifecycle has one of ${supportedPlatformApis.join(', ')}`,
  })
}

export async function layersOf(
  image: Image,
  { cacheDir }: Settings,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string[]> {
  await ownDirectory(cacheDir, 'XDG_CACHE_HOME')
  const tmpDir = join(cacheDir, 'tmp')
  await mkdir(tmpDir, { recursive: true, mode: 0o700 })
  const flat = !(await canLayer(tmpDir))
  return unpackedLayers(image.layers, { cacheDir, reporter, flat }, signal)
}
