import { performance } from 'node:perf_hooks'
import type { BuildCache } from './caches/build-cache.ts'
import { type PhaseName, inPhase } from './errors.ts'
import type { Reporter } from './events.ts'
import { envOf } from './image/config.ts'
import type { Image } from './image/image.ts'
import type { Owner } from './layers/tree/entries.ts'
import type { PhaseRunner } from './phase-runner.ts'
import {
  type Analysis,
  type AnalyzeInput,
  type ImageNaming,
  type SelectedRunImage,
  analyze,
  analyzedOf,
} from './phases/analyze.ts'
import { type BuildOutput, type Exported, type ImageSettings, exportImage } from './phases/export.ts'
import { restore } from './phases/restore.ts'
import type { PlatformFeatures } from './spec/api.ts'
import type { Analyzed, Group, GroupElement, RunImageMetadata } from './spec/types.ts'
import type { Destination } from './stores/open.ts'

/** The images of a build. */
export interface PipelineImages extends Omit<AnalyzeInput, 'destinations' | 'reporter'> {
  /** Export writes to the first one; the image is copied from there to the others. */
  readonly destinations: readonly [Destination, ...Destination[]]
  readonly naming: ImageNaming
  /** Returns the app image's record of its run image. Never a path of this machine. */
  describe(runImage: SelectedRunImage): Promise<RunImageMetadata>
}

/** The files that carry results from phase to phase. Buildpacks can write there, so everything read back is hostile. */
export interface PhaseFiles extends Omit<BuildOutput, 'group'> {
  writeAnalyzed(analyzed: Analyzed): Promise<void>
  /** Reads the group of detect, and checks it against the buildpacks and extensions of the build environment (X28). */
  readGroup(): Promise<Group>
}

/** The input of analyze and detect. */
export interface DetectionInput {
  readonly images: PipelineImages
  readonly files: PhaseFiles
  /** Runs detect and build, which run buildpacks. The other phases hold credentials and run in this process. */
  readonly runner: PhaseRunner
  readonly features: PlatformFeatures
  readonly reporter: Reporter
}

export interface PipelineInput extends DetectionInput {
  readonly cache: BuildCache
  /** Whether restore uses the previous image's metadata, and cached layers. */
  readonly reuse: { readonly previous: boolean; readonly layers: boolean }
  /** The owner of restored layers. Set for root, whose buildpacks run as another user. */
  readonly restoredOwner?: Owner | undefined
  readonly settings: ImageSettings
  /** Applies what the image extensions of the group have generated, if it has any. */
  readonly extend?: (extensions: readonly GroupElement[], analysis: Analysis, signal: AbortSignal) => Promise<Extended>
  /** Chooses another run image for the output of build. If absent, or for undefined, the run image of analyze is used. */
  readonly chooseRunImage?: (output: BuildOutput, signal: AbortSignal) => Promise<SelectedRunImage | undefined>
  /** Inspects the output of build before export. Throws to prevent the image. */
  readonly checkOutput?: (output: BuildOutput, runImage: Image, signal: AbortSignal) => Promise<void>
}

/** The images that image extensions have changed. */
export interface Extended {
  /** Runs build in the extended build image. Absent if it is as it was. */
  readonly runner?: PhaseRunner | undefined
  /** The run image that they select, or that they extend; absent if it stays as it was. */
  readonly runImage?: (SelectedRunImage & { readonly extended?: Image | undefined }) | undefined
}

export interface PipelineResult extends Exported {
  readonly group: readonly GroupElement[]
}

/**
 * A build, from source to image: analyze, detect, restore, build, export. `bale build` and the creator binary are two
 * configurations of it. Each phase binary is one of the steps, with files as inputs and outputs.
 * @throws BaleError; `exitStatus(error)` depends on the phase
 */
export async function runPipeline(input: PipelineInput, signal: AbortSignal): Promise<PipelineResult> {
  const { images, files, runner, cache, reuse, settings, features, reporter } = input
  const { layersDir, appDir, owner } = files
  const [destination] = images.destinations
  const phase = phaseTimer(reporter)

  const { analysis, group, extensions } = await runDetection(input, signal)
  const extended: Extended =
    extensions.length === 0
      ? {}
      : await phase('extend', async () => (await input.extend?.(extensions, analysis, signal)) ?? {})
  const moved = movedFrom(analysis.previous?.image, appDir.image)
  if (moved !== undefined)
    reporter.event({
      type: 'note',
      level: 'info',
      text: `The application was in ${moved}, so data of earlier builds is not used`,
    })
  const previous = reuse.previous && moved === undefined ? analysis.previous : undefined
  await phase('restore', () =>
    restore(
      {
        layersDir,
        group,
        previous,
        cache,
        owner: input.restoredOwner,
        skipLayers: !reuse.layers || moved !== undefined,
        features,
        reporter,
      },
      signal,
    ),
  )
  const output = { layersDir, appDir, group, owner }
  const runImage = await phase('build', async () => {
    await (extended.runner ?? runner).run('build', signal)
    // From here on, all processes of buildpacks have ended. Their output is not trusted.
    const chosen = extended.runImage ?? (await input.chooseRunImage?.(output, signal)) ?? analysis.runImage
    const image = extended.runImage?.extended ?? chosen.image
    const isExtended = image !== chosen.image
    await input.checkOutput?.(
      { ...output, ...(isExtended && { extended: { base: chosen.image, image } }) },
      image,
      signal,
    )
    return { image, chosen }
  })

  const exported = await phase('export', async () =>
    exportImage(
      {
        output,
        // The record names the image below the extensions' layers.
        runImage: { image: runImage.image, metadata: await images.describe(runImage.chosen) },
        previous: analysis.previous,
        destination,
        cache,
        settings,
        features,
        reporter,
      },
      signal,
    ),
  )
  return { ...exported, group }
}

/**
 * The two phases that decide what a build does: analyze and detect. They write to no image and no cache.
 * @throws BaleError as for `runPipeline`
 */
export async function runDetection(
  { images, files, runner, features, reporter }: DetectionInput,
  signal: AbortSignal,
): Promise<{
  readonly analysis: Analysis
  readonly group: readonly GroupElement[]
  readonly extensions: readonly GroupElement[]
}> {
  const phase = phaseTimer(reporter)
  const analysis = await phase('analyze', async () => {
    const found = await analyze({ ...images, reporter }, signal)
    await files.writeAnalyzed(analyzedOf(found, images.naming, features))
    return found
  })
  const { buildpacks: group, extensions } = await phase('detect', async () => {
    await runner.run('detect', signal)
    return files.readGroup()
  })
  return { analysis, group, extensions }
}

/** The application's path in the last build, if it differs: files of buildpacks may contain the path. */
function movedFrom(previous: Image | undefined, app: string): string | undefined {
  const before = previous === undefined ? undefined : envOf(previous.config, 'CNB_APP_DIR')
  return before === app ? undefined : before
}

/** Runs phases one after another, and reports how long each took. */
function phaseTimer(reporter: Reporter) {
  return async <T>(phase: PhaseName, run: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    reporter.event({ type: 'phase-started', phase })
    const result = await inPhase(phase, run)
    reporter.event({ type: 'phase-finished', phase, milliseconds: performance.now() - started })
    return result
  }
}
