import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BaleError } from '../errors.ts'
import type { RunImageRequest } from '../phases/analyze.ts'
import { platformApi } from './api.ts'
import { locate } from '../stores/pull-policy.ts'
import { hostPlatform } from '../stores/settings.ts'
import type { BuildEnvironment, EnvironmentInput, StackEnvironmentInput } from './build-environment.ts'
import { type OpenModules, loadBuilder } from './builder.ts'
import { buildImageEnvironment, imageEnvironment, withoutExtensions } from './builders/image-environment.ts'
import { nodeRuntime } from './builders/node-runtime.ts'
import { openBuildpack } from './builders/open-buildpack.ts'
import { containerEnvironment } from './container-environment.ts'
import { bundledIn } from './distribution.ts'
import { ensureStack, madeHere, runImageName } from './stack.ts'

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
    knownRunImages: builder.knownRunImages ?? [],
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
