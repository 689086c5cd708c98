import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'
import { type Image, makeImage } from '../../image/image.ts'
import type { Analysis, SelectedRunImage } from '../../phases/analyze.ts'
import type { Extended } from '../../pipeline.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { type ExtendKind, extendKinds } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
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
  const file = join(build.workspace.layers, 'analyzed.toml')
  const { runImage: selected, buildImage } = parseAnalyzed((await readUntrusted(file)) ?? '', file)
  const kinds = { build: buildImage?.extend, run: selected?.extend }
  return {
    runImage: await runImageOf(selected?.image, analysis.runImage, build, signal),
    extended: extendKinds.filter(kind => kinds[kind] === true),
  }
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
  const { runImage, extended: kinds } = await requestedImages(build, analysis, signal)
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
  const { names } = environment.runImages
  const isKnown = [names.image, ...names.mirrors].includes(name)
  const at = isKnown
    ? await environment.runImages.open(name)
    : await locate(stores, name, platform, options.pullPolicy, signal)
  // Every later app would be built on top of this app (X33).
  if (destinations.some(({ sink, names }) => sink.description === at.source.description && names.includes(at.name)))
    throw new BaleError(
      'arguments',
      `the app would replace the run image ${at.name}, which an image extension selects`,
      {
        fix: 'give the app another name',
      },
    )
  const image = await at.source.pull(at.name, platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no run image ${name}, which an image extension selects`, {
      where: at.source.description,
      fix: 'make it available there, or use another builder',
    })
  reporter.event({ type: 'note', level: 'info', text: `An image extension selects the run image ${name}` })
  return { name, names: { image: name, mirrors: [] }, image }
}

/** Extender has checked names of users in the image's files. This process does not trust that. */
function refuseRoot({ config }: Image): void {
  const [user = ''] = (config.config?.User ?? '').split(':')
  if (!['', '0', 'root'].includes(user)) return
  throw new BaleError('failed', 'the run.Dockerfiles leave root as the user of the run image', {
    fix: 'reset the user in the last one that changes it: ARG user_id, ARG group_id, USER ${user_id}:${group_id}',
  })
}
