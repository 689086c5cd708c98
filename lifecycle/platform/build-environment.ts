import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { type ImageConfig } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import type { RunImageRequest } from '../phases/analyze.ts'
import type { Order } from '../spec/types.ts'
import type { Stores } from '../stores/open.ts'
import { platformApi } from './api.ts'
import { type PullPolicy, locate } from '../stores/pull-policy.ts'
import { hostPlatform } from '../stores/settings.ts'
import { type BuildConfigVariable, type Builder, type OpenModules, loadBuilder } from './builder.ts'
import {
  type LifecycleChoice,
  buildImageEnvironment,
  imageEnvironment,
  withoutExtensions,
} from './builders/image-environment.ts'
import type { BuildpackModule } from './builders/module.ts'
import { type Files, nodeRuntime } from './builders/node-runtime.ts'
import { openBuildpack } from './builders/open-buildpack.ts'
import { containerEnvironment } from './container-environment.ts'
import { bundledIn } from './distribution.ts'
import type { Distribution } from './distribution.ts'
import type { Settings } from './settings.ts'
import { ensureStack, madeHere, runImageName } from './stack.ts'

/** The environment of detect and build. A builder.toml with a stack provides it, or a builder image. */
export interface BuildEnvironment {
  /** The unpacked build image, its layers from the lowest to the topmost, and its config. */
  readonly rootfs: { readonly layers: readonly string[]; readonly config: ImageConfig }
  /** The build image as its source has it, for its owners of files. Absent for a stack, whose files are root's. */
  readonly buildImage?: Image | undefined
  /** Whether image extensions have extended the build image. */
  readonly isExtended?: boolean
  /** Whether the image has a /cnb of its own, with buildpacks and settings. */
  readonly hasBuildpacks: boolean
  readonly buildpacks: readonly BuildpackModule[]
  readonly extensions: readonly BuildpackModule[]
  /** The order of the buildpacks, and that of extensions. */
  readonly order: Order
  readonly lifecycle: Lifecycle
  /** The user that runs buildpacks and owns their files. */
  readonly user: { readonly uid: number; readonly gid: number }
  readonly runImages: RunImageRequest
  /** The folder of a stack whose run image is for applications that need neither shell nor C library. */
  readonly staticStackDir?: string | undefined
  readonly buildConfig: readonly BuildConfigVariable[]
}

export interface Lifecycle {
  readonly phases: Phases
  /** The Platform API that all phases of a build speak. */
  readonly platformApi: string
  /** The launcher that goes into the image. */
  readonly launcher: string
}

/** The phase binaries that run in the environment. */
export type Phases =
  | {
      readonly from: 'bale'
      /** Mounted as /cnb/lifecycle. */
      readonly dir: string
      /** The files of Node for phases and buildpacks: `node`, and the files that it needs in addition to the image. */
      readonly runtime: Files
    }
  /** The phase binaries in /cnb/lifecycle of the image. */
  | { readonly from: 'image' }

export interface EnvironmentInput {
  /** A builder.toml, a directory with one, or a builder image in any transport; Bale's own builder by default. */
  readonly builder?: string | undefined
  readonly lifecycle?: LifecycleChoice | undefined
  readonly pullPolicy?: PullPolicy | undefined
  readonly distribution: Distribution
  readonly settings: Settings
  readonly stores: Stores
  /** The run image that the user names. Absent: the builder's or the stack's. */
  readonly runImage?: string | undefined
  readonly reporter: Reporter
}

/**
 * Opens the environment that a builder of any kind provides.
 * @throws BaleError for a builder that does not exist or cannot be used
 */
export async function openEnvironment(input: EnvironmentInput, signal: AbortSignal): Promise<BuildEnvironment> {
  const { distribution, lifecycle = 'bale' } = input
  const builder = input.builder ?? distribution.builder
  const isContainer = distribution.container !== undefined
  if (isContainer && !(await isBuilderFile(builder))) throw otherBuilder(builder)
  if (!(await isBuilderFile(builder))) {
    const environment = await imageEnvironment({ ...input, builder, lifecycle }, signal)
    return withRunImage(environment, input)
  }
  if (lifecycle === 'builder')
    throw new BaleError('arguments', 'a builder.toml does not contain a lifecycle', {
      where: '--lifecycle builder',
      fix: 'leave it out, or name a builder image',
    })
  const inFile = await loadBuilder(builder, modulesOf(input, signal))
  if (isContainer) {
    const order = withoutExtensions(inFile.order, builder, input.reporter)
    return containerEnvironment({ ...input, builder: { ...inFile, order } })
  }
  return inFile.buildImage === undefined
    ? stackEnvironment({ ...input, builder: inFile }, signal)
    : withRunImage(await buildImageEnvironment({ ...input, builder: inFile }, signal), input)
}

const otherBuilder = (where: string) =>
  new BaleError('arguments', 'in a container of a builder image, that image is the builder', {
    where,
    fix: 'leave out --builder, or start the job in the image that it names',
  })

/** A path and the name of an existing file are builder files. All other names are images. */
async function isBuilderFile(text: string): Promise<boolean> {
  if (/^(\.{0,2}|~[^/]*)\/|\.toml$|^\.{1,2}$/.test(text)) return true
  return (await stat(text).catch(() => undefined)) !== undefined
}

/** The buildpacks of a builder.toml, wherever they are. */
function modulesOf(input: EnvironmentInput, signal: AbortSignal): OpenModules {
  return (uri, file, kind) =>
    openBuildpack(
      uri,
      file,
      { ...input, bundled: bundledIn(input.distribution), builder: [], base: dirname(file), kind },
      signal,
    )
}

/** Replaces the builder's run image by the user's. */
async function withRunImage(
  environment: BuildEnvironment,
  { runImage, stores, settings, pullPolicy }: EnvironmentInput,
): Promise<BuildEnvironment> {
  if (runImage === undefined) return environment
  const at = await locate(stores, runImage, settings.platform, pullPolicy)
  return { ...environment, runImages: { names: { image: at.name, mirrors: [] }, open: () => Promise.resolve(at) } }
}

export interface StackEnvironmentInput extends Omit<EnvironmentInput, 'builder'> {
  readonly builder: Builder
}

/** Opens the environment that a builder.toml describes, on a stack of this machine. Makes the stack if it does not exist. */
export async function stackEnvironment(input: StackEnvironmentInput, signal: AbortSignal): Promise<BuildEnvironment> {
  const { builder, distribution, settings, stores, reporter } = input
  const arch = settings.platform.architecture
  const { stackDir } = builder
  if (stackDir === undefined) throw new BaleError('input', 'the builder has no stack', { where: builder.file })
  const stack = await ensureStack({ stackDir, arch, settings, store: stores.local, reporter }, signal)
  return {
    rootfs: { layers: [stack.buildRoot], config: stack.buildConfig },
    hasBuildpacks: false,
    buildpacks: builder.buildpacks,
    extensions: builder.extensions,
    order: builder.order,
    lifecycle: {
      // Phases run on the Node that runs Bale, with its own libraries, even if an emulator runs all other programs.
      phases: {
        from: 'bale',
        dir: distribution.lifecycleDir,
        runtime: arch === hostPlatform().architecture ? { node: distribution.node } : nodeRuntime(distribution),
      },
      platformApi,
      launcher: distribution.launcher(arch),
    },
    user: stack.user,
    ...(await runImagesOf(input, stack.runImage)),
    buildConfig: builder.buildConfig,
  }
}

/** Returns the run image and, if neither the user nor the builder names one, a smaller one for static applications. */
async function runImagesOf(
  input: StackEnvironmentInput,
  stackRunImage: string,
): Promise<Pick<BuildEnvironment, 'runImages' | 'staticStackDir'>> {
  const runImages = await requestRunImage(input, stackRunImage)
  const { staticStackDir, runImage } = input.builder
  if (staticStackDir === undefined || runImage !== undefined || input.runImage !== undefined) return { runImages }
  return { runImages: { ...runImages, others: [runImageName(staticStackDir)] }, staticStackDir }
}

/**
 * Returns the run image: the user's, from a stack of this machine or any transport; else the builder's, in a registry; else
 * the stack's own, in the local store.
 */
async function requestRunImage(
  { builder, stores, runImage }: StackEnvironmentInput,
  stackRunImage: string,
): Promise<RunImageRequest> {
  const isMadeHere = runImage?.startsWith(madeHere) === true
  if (runImage !== undefined && !isMadeHere) {
    const at = await stores.source(runImage)
    return { names: { image: at.name, mirrors: [] }, open: () => Promise.resolve(at) }
  }
  if (builder.runImage !== undefined && !isMadeHere)
    return { names: builder.runImage, open: name => stores.source(name) }
  return {
    names: { image: isMadeHere ? runImage : stackRunImage, mirrors: [] },
    open: name => Promise.resolve({ source: stores.local, name }),
  }
}
