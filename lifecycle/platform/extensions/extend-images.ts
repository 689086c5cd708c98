import { dirname, join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'
import { replaceFile } from '../../files/staged.ts'
import { type Image, makeImage } from '../../image/image.ts'
import {
  type Analysis,
  type RunImageRequest,
  type SelectedRunImage,
  findRunImage,
  readTarget,
} from '../../phases/analyze.ts'
import { runImageEntry } from '../../phases/run-image.ts'
import type { Extended } from '../../pipeline.ts'
import { formatAnalyzed, parseAnalyzed } from '../../spec/analyzed.ts'
import { type ExtendKind, extendKinds } from '../../spec/extend-config.ts'
import type { Analyzed, GroupElement, Target } from '../../spec/types.ts'
import { locate } from '../../stores/pull-policy.ts'
import { isPlain } from '../../stores/transports.ts'
import type { BuildEnvironment } from '../build-environment.ts'
import { layersOf } from '../builders/image-environment.ts'
import { unpackedChanges } from '../builders/unpacked-layers.ts'
import type { OpenBuild } from '../open-build.ts'
import { extendOnce } from './extension-cache.ts'

/** The images of a build after the Dockerfiles of its image extensions. */
export interface ExtendedImages extends Pick<Extended, 'runImage'> {
  /** Undefined if the build image is as it was. */
  readonly environment: BuildEnvironment | undefined
}

/** What image extensions request in detect. */
export interface RequestedImages {
  /** The run image that they select, or the one of analyze. */
  readonly runImage: SelectedRunImage
  /** The target of the app on that run image. */
  readonly target: Target
  /** The images that Dockerfiles change. */
  readonly extended: readonly ExtendKind[]
}

/**
 * Reads the requests of image extensions from analyzed.toml, which detect has written, and which is not trusted.
 * @throws BaleError for a run image that does not exist, or that is on a path of this machine
 */
export async function requestedImages(
  build: OpenBuild,
  analysis: Analysis,
  signal: AbortSignal,
): Promise<RequestedImages> {
  const { runImage: selected, buildImage } = await readAnalyzed(build)
  const kinds = { build: buildImage?.extend, run: selected?.extend }
  const runImage = await runImageOf(selected?.image, analysis.runImage, build, signal)
  return {
    runImage,
    target: runImage === analysis.runImage ? analysis.target : await readTarget(runImage.image, undefined, signal),
    extended: extendKinds.filter(kind => kinds[kind] === true),
  }
}

const analyzedFile = ({ workspace }: OpenBuild): string => join(workspace.layers, 'analyzed.toml')

async function readAnalyzed(build: OpenBuild): Promise<Analyzed> {
  const file = analyzedFile(build)
  return parseAnalyzed((await readUntrusted(file)) ?? '', file)
}

/** Detect clears the target where an extension selects a run image; restorer, which is not part of this build, writes the new one. */
async function writeTarget(build: OpenBuild, { runImage, target }: RequestedImages): Promise<void> {
  const analyzed = await readAnalyzed(build)
  const { name } = runImage
  const written = formatAnalyzed({
    ...analyzed,
    runImage: { ...analyzed.runImage, reference: name, image: name, target },
  })
  const file = analyzedFile(build)
  // Detect could have left a link there.
  await replaceFile(file, Buffer.from(written), dirname(file))
}

/**
 * Applies the Dockerfiles that image extensions have generated in detect: those for the build image make layers above the builder's, those
 * for the run image select another one or make layers above it (image_extension.md, "Phase: Extension").
 * @throws BaleError 'failed' if an instruction fails, 'engine' if this machine cannot run them
 */
export async function extendImages(
  build: OpenBuild,
  extensions: readonly GroupElement[],
  analysis: Analysis,
  signal: AbortSignal,
): Promise<ExtendedImages> {
  const { environment, options, reporter } = build
  const requested = await requestedImages(build, analysis, signal)
  await writeTarget(build, requested)
  const { runImage, extended: kinds } = requested
  let extended: Image | undefined
  if (kinds.includes('run')) {
    const { image, name } = runImage
    const rootfs = await layersOf(image, options.settings, reporter, signal)
    extended = await extendOnce('run', { image, name, rootfs }, extensions, build, signal)
    refuseRoot(extended)
  }
  const isChanged = extended !== undefined || runImage !== analysis.runImage
  return {
    ...(isChanged && { runImage: { ...runImage, extended } }),
    environment: kinds.includes('build') ? await extendEnvironment(environment, extensions, build, signal) : undefined,
  }
}

async function extendEnvironment(
  environment: BuildEnvironment,
  extensions: readonly GroupElement[],
  build: OpenBuild,
  signal: AbortSignal,
): Promise<BuildEnvironment> {
  const { rootfs } = environment
  // The layers of a stack's build image are nowhere as such.
  const image = environment.buildImage ?? makeImage(rootfs.config, [])
  const base = { image, name: build.builder.name ?? 'builder', rootfs: rootfs.layers }
  const extended = await extendOnce('build', base, extensions, build, signal)
  const changes = await unpackedChanges(extended.layers.slice(image.layers.length), build.options.settings, signal)
  return {
    ...environment,
    rootfs: { layers: [...rootfs.layers, ...changes], config: extended.config },
    isExtended: true,
  }
}

/** @param name what analyzed.toml says after detect, which is not trusted: no image of a path of this machine is taken */
async function runImageOf(
  name: string | undefined,
  before: SelectedRunImage,
  { environment, stores, destinations, options, reporter }: OpenBuild,
  signal: AbortSignal,
): Promise<SelectedRunImage> {
  if (name === undefined || name === before.name) return before
  const { platform } = options.settings
  if (!isPlain(stores.parse(name)))
    throw new BaleError('input', `an image extension selects the run image ${name}, which is not in a registry`, {
      fix: 'write FROM with the name of an image in a registry',
    })
  reporter.event({ type: 'note', level: 'info', text: `An image extension selects the run image ${name}` })
  const { runImages, knownRunImages = [] } = environment
  const own = [runImages.names.image, ...runImages.names.mirrors]
  const entry = runImageEntry({ images: [runImages.names, ...knownRunImages] }, name)
  const request: RunImageRequest = {
    names:
      entry === undefined ? { image: name, mirrors: [] } : { image: name, mirrors: [entry.image, ...entry.mirrors] },
    open: asked =>
      own.includes(asked) ? runImages.open(asked) : locate(stores, asked, platform, options.pullPolicy, signal),
  }
  const [{ registry }] = destinations
  const found = await findRunImage({ runImage: request, registry, platform, destinations, reporter }, signal)
  return { ...found, names: entry ?? found.names }
}

/** Extender has checked names of users in the image's files. This process does not trust that. */
function refuseRoot({ config }: Image): void {
  const [user = ''] = (config.config?.User ?? '').split(':')
  if (!['', '0', 'root'].includes(user)) return
  throw new BaleError('failed', 'the run.Dockerfiles leave root as the user of the run image', {
    fix: 'reset the user in the last one that changes it: ARG user_id, ARG group_id, USER ${user_id}:${group_id}',
  })
}
