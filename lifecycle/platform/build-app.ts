import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { exitStatus } from '../errors.ts'
import { type PipelineInput, runPipeline } from '../pipeline.ts'
import { execEnvOf } from '../spec/exec-env.ts'
import { lifecycleVersion } from '../version.ts'
import { appCache, appCacheDir, cacheName } from './app-cache.ts'
import type { BuildEnvironment } from './build-environment.ts'
import { type BuildOptions, packingOf } from './build-options.ts'
import { extendImages } from './extensions/extend-images.ts'
import { type OpenBuild, prepareDetection, runnerOf, withOpenBuild } from './open-build.ts'
import { publishElsewhere } from './publish.ts'
import { refuseCredentials } from '../phases/registry-credentials.ts'
import { searchedCredentials } from './searched-credentials.ts'
import { openShared } from './shared-caches.ts'
import { type StackInput, ensureRunImage } from './stack.ts'
import { checkStart } from '../phases/start-check/check-start.ts'
import { selectStaticRunImage } from './static-run-image.ts'

export interface BuildResult extends Awaited<ReturnType<typeof runPipeline>> {
  /** Every name of the image, in all transports. */
  readonly names: readonly string[]
}

/**
 * Builds source code into an image, and stores it at its destinations.
 * @throws BaleError; `exitStatusOf(error)` is the exit status of `bale build`
 */
export function build(options: BuildOptions): Promise<BuildResult> {
  return withOpenBuild(options, buildIn)
}

/** The same for a build that is already open. */
export async function buildIn(opened: OpenBuild, signal: AbortSignal): Promise<BuildResult> {
  const { options, secrets, stores, reporter, environment, caches } = opened
  const { settings } = options
  // By the clock of the file system, and before the first file of the build.
  const begun = await stat(join(opened.workspace.platform, 'env'))
  const [destination, ...others] = opened.destinations
  const imageSettings = imageSettingsOf(options, environment)
  const cacheImage =
    options.cacheImage === undefined ? undefined : await stores.destinations([options.cacheImage], true)
  await using resources = new AsyncDisposableStack()
  const context = {
    settings,
    stores,
    reporter,
    app: cacheName(destination.identity, settings.platform),
    use: (r: AsyncDisposable) => void resources.use(r),
  }
  const shared = await openShared(caches, context, signal)
  await using cache = await appCache(settings.cacheDir, destination, {
    clear: options.clearCache === true,
    image: cacheImage?.[0],
    shared,
    platform: settings.platform,
    reporter,
  })
  cache.prefetch()

  const result = await runPipeline(
    {
      ...(await prepareDetection(opened, signal)),
      cache,
      reuse: { previous: options.clearCache !== true, layers: true },
      settings: imageSettings,
      extend: async (extensions, analysis) => {
        const { runImage, environment: extended } = await extendImages(opened, extensions, analysis, signal)
        return { runImage, runner: extended && (await runnerOf(opened, extended)) }
      },
      ...choiceOfRunImage({ settings, store: stores.local, reporter }, environment),
      checkOutput: async (output, image) => {
        await secrets.refuseIn(output, imageSettings, signal)
        const record = searchedCredentials(appCacheDir(settings.cacheDir, destination, settings.platform))
        const search = { settings: imageSettings, since: begun.ctimeMs, record }
        await refuseCredentials(stores.credentials, opened.destinations, output, search, signal)
        await checkStart(output, image, { indexDir: join(settings.cacheDir, 'run-images'), signal })
      },
    },
    signal,
  )
  const elsewhere = await publishElsewhere(result.image, others, reporter, signal)
  return { ...result, names: [...result.published.names, ...elsewhere] }
}

function choiceOfRunImage(
  input: Omit<StackInput, 'stackDir' | 'arch'>,
  { staticStackDir: stackDir }: BuildEnvironment,
): Pick<PipelineInput, 'chooseRunImage'> {
  if (stackDir === undefined) return {}
  const { platform } = input.settings
  const ensure = async (signal: AbortSignal) =>
    ensureRunImage({ ...input, stackDir, arch: platform.architecture }, signal)
  const choice = { ensure, platform, store: input.store, reporter: input.reporter }
  return { chooseRunImage: (output, signal) => selectStaticRunImage(output, choice, signal) }
}

function imageSettingsOf(options: BuildOptions, { lifecycle }: BuildEnvironment): PipelineInput['settings'] {
  return {
    launcher: { path: lifecycle.launcher, version: lifecycleVersion },
    defaultProcess: options.defaultProcess,
    labels: options.labels,
    annotations: options.annotations,
    ...(options.execEnv !== undefined && { execEnv: execEnvOf(options.execEnv) }),
    project: {},
    createdEpoch: options.settings.sourceDateEpoch,
    packing: packingOf(options),
  }
}

/** Returns the exit status for an error that `build` threw (platform.md, "Exit Code" of the phase it came from). */
export const exitStatusOf = exitStatus
