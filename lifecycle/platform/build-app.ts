import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BaleError, exitStatus } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import { readUntrusted } from '../files/read.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import type { Compression } from '../image/media-types.ts'
import { outOfTime } from '../phase-runner.ts'
import { type RunImageRequest, runImageMetadata } from '../phases/analyze.ts'
import { type PhaseFiles, type PipelineImages, type PipelineInput, runPipeline } from '../pipeline.ts'
import { formatAnalyzed } from '../spec/analyzed.ts'
import { requirePlatformApi } from '../spec/api.ts'
import { execEnvOf } from '../spec/exec-env.ts'
import { parseGroup } from '../spec/group.ts'
import { checkGroupIds } from '../spec/ids.ts'
import { formatOrder } from '../spec/order.ts'
import type { ProjectDescriptor } from '../spec/project-descriptor.ts'
import type { GroupElement } from '../spec/types.ts'
import { type Destination, type ImageAt, Stores } from '../stores/open.ts'
import type { PullPolicy } from '../stores/pull-policy.ts'
import { lifecycleVersion } from '../version.ts'
import { appCache } from './app-cache.ts'
import { type BuildEnvironment, openEnvironment } from './build-environment.ts'
import { openPlace, openRunner } from './build-place.ts'
import type { LifecycleChoice } from './builders/image-environment.ts'
import type { OpenBuildpackInput } from './builders/open-buildpack.ts'
import { selectionOf } from './builders/project-selection.ts'
import { withSelection } from './builders/selection.ts'
import type { Mount } from '../engines/engine.ts'
import { type Distribution, bundledIn, findDistribution } from './distribution.ts'
import { cacheLocations, localDirs, openShared } from './shared-caches.ts'
import { proxyPasswords } from './proxies.ts'
import { publishElsewhere, withDisplayNames } from './publish.ts'
import { checkStart } from './start-check/check-start.ts'
import { type BuildSecret, BuildSecrets } from './secrets.ts'
import { type StackInput, ensureRunImage } from './stack.ts'
import { selectStaticRunImage } from './static-run-image.ts'
import type { Settings } from './settings.ts'
import { copySource } from './copy-source.ts'
import { readSourceSettings } from './source-filter.ts'
import { sayUnreadSettings } from './unread-settings.ts'
import { type Workspace, writePlatformEnv } from './workspace.ts'

export interface BuildOptions {
  /** The destination of the image, in skopeo's notation. A plain name means Bale's own store. */
  readonly image: string
  readonly settings: Settings
  /** The directory with the source; the working directory by default. */
  readonly path?: string | undefined
  /**
   * A builder.toml, a directory with one, or a builder image in any transport; the one of project.toml, or Bale's own, by
   * default.
   */
  readonly builder?: string | undefined
  /** The builder of builds for which neither `builder` nor project.toml names one. */
  readonly defaultBuilder?: string | undefined
  /** Whose phases run in a builder image: Bale's, mounted in, by default. */
  readonly lifecycle?: LifecycleChoice | undefined
  /** Buildpacks in place of the builder's order: directories, .cnb files, images, `urn:cnb:builder:…`, `from=builder`. */
  readonly buildpacks?: readonly string[] | undefined
  /** Buildpacks before and after every group of the order. */
  readonly preBuildpacks?: readonly string[] | undefined
  readonly postBuildpacks?: readonly string[] | undefined
  /** Another project.toml than the one in the source. */
  readonly descriptor?: string | undefined
  /** When builder, buildpacks and run image are read from a registry although this machine has them. */
  readonly pullPolicy?: PullPolicy | undefined
  /** Variables for buildpacks, at build time. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** More names for the image, in any transport. */
  readonly tags?: readonly string[] | undefined
  readonly runImage?: string | undefined
  /** More names of run images, by the name that the builder has for each. */
  readonly runImageMirrors?: Readonly<Record<string, readonly string[]>> | undefined
  /** What the image is for (platform.md, "CNB_EXEC_ENV"): production by default. */
  readonly execEnv?: string | undefined
  /** The image of the last build, where that has another name. */
  readonly previousImage?: string | undefined
  /** Further directories of this machine for buildpacks. */
  readonly volumes?: readonly Mount[] | undefined
  /** Sends plain names to the registry that they name, not to Bale's own store. */
  readonly publish?: boolean | undefined
  readonly clearCache?: boolean | undefined
  /** Paths that the caller writes to after the build: they are left out where they lie in the source. */
  readonly outputs?: readonly string[] | undefined
  /** A cache image in a registry, instead of a directory of this machine. */
  readonly cacheImage?: string | undefined
  /**
   * Caches that other machines share, as `--cache-from` and `--cache-to` have them:
   * `type=s3,bucket=builds,region=eu-central-1`. The first of `cacheFrom` that has anything is read, unless this machine has.
   */
  readonly cacheFrom?: readonly string[] | undefined
  readonly cacheTo?: readonly string[] | undefined
  /** The compression of new layers. gzip by default, which every tool reads. */
  readonly compression?: Compression | undefined
  readonly defaultProcess?: string | undefined
  /** Labels of the image. Those of the specification, `io.buildpacks.*`, are not the user's. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** BuildSecrets for buildpacks, as bindings. They are masked in events and errors, and searched for before anything is published. */
  readonly secrets?: readonly BuildSecret[] | undefined
  /** Annotations of its manifest (image-spec annotations.md). */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** The network of buildpacks: `host` by default, since they download dependencies. */
  readonly network?: 'none' | 'host' | undefined
  readonly reporter?: Reporter | undefined
  /**
   * The most threads and processes in the sandbox at one time, 4096 by default, and bytes of memory and of disk, unlimited by default.
   */
  readonly limits?: { readonly pids?: number; readonly memory?: number; readonly disk?: number } | undefined
  /** Milliseconds for the whole build. 2 hours by default. */
  readonly timeout?: number | undefined
  /** Milliseconds for the bin/build of one buildpack. The limit of the build by default. */
  readonly buildpackTimeout?: number | undefined
  /** Bale's own files. Found beside the program by default. */
  readonly distribution?: Distribution | undefined
  /** Ends the build and cleans up. The promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const defaultTimeout = 2 * 3600_000

export interface BuildResult extends Awaited<ReturnType<typeof runPipeline>> {
  /** Every name of the image, in all transports. */
  readonly names: readonly string[]
}

/**
 * Builds source code into an image, and stores it at its destinations.
 * @throws BaleError; `exitStatusOf(error)` is the exit status of `bale build`
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const secrets = new BuildSecrets(options.secrets ?? [])
  const passwords = new BuildSecrets(proxyPasswords(options.settings.environment))
  const reporter = passwords.masked(secrets.masked(options.reporter ?? silent))
  for (const id of secrets.unguarded)
    reporter.event({ type: 'warning', text: `the secret ${id} is too short to be masked, or searched for` })
  return buildWith({ ...options, reporter }, secrets).catch((error: unknown) => {
    throw passwords.maskError(secrets.maskError(error))
  })
}

async function buildWith(
  options: BuildOptions & { readonly reporter: Reporter },
  secrets: BuildSecrets,
): Promise<BuildResult> {
  const { settings, reporter } = options
  const timeout = options.timeout ?? defaultTimeout
  using timer = abortAfter(timeout, outOfTime('the build', timeout, '--timeout'))
  const signal = AbortSignal.any([timer.signal, ...(options.signal ? [options.signal] : [])])
  const distribution = options.distribution ?? findDistribution(import.meta.url)
  await using stores = new Stores(settings, reporter, options.compression)
  const names = [options.image, ...(options.tags ?? [])]
  const caches = cacheLocations(options)
  const destinations = await stores.destinations(names, options.publish === true)
  const [destination, ...others] = destinations
  const source = resolve(options.path ?? '.')
  await using workspace = await openPlace(distribution, settings.cacheDir, source)
  const { filter, env, keepsGit, project } = await readSourceSettings({
    dir: source,
    descriptor: options.descriptor,
    images: [...names, ...(options.cacheImage === undefined ? [] : [options.cacheImage])],
    outputs: [settings.cacheDir, settings.dataDir, ...localDirs(caches), ...(options.outputs ?? [])],
    reporter,
  })
  const inputs = {
    ...options,
    distribution,
    stores,
    reporter,
    builder: options.builder ?? project?.builder ?? options.defaultBuilder,
  }
  const environment = await withBuildpacks(await openEnvironment(inputs, signal), project, inputs, workspace, signal)
  const cacheImage =
    options.cacheImage === undefined ? undefined : await stores.destinations([options.cacheImage], true)
  await using resources = new AsyncDisposableStack()
  const context = {
    settings,
    stores,
    reporter,
    app: destination.identity,
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
  const { previousImage } = options
  const previous = previousImage === undefined ? destination.previous : await stores.source(previousImage)

  const variables = { ...env, ...options.env }
  await writePlatformEnv(workspace.platform, variables)
  await secrets.writeBindings(workspace.platform)
  await copySource(source, workspace.app, { reporter, filter, keepsGit, signal })
  await writeFile(join(workspace.layers, 'order.toml'), formatOrder(environment.order))

  const result = await runPipeline(
    {
      images: imagesOf(settings, environment, destinations, previous),
      files: filesOf(workspace, environment, group => sayUnreadSettings(variables, group, environment, reporter)),
      runner: await openRunner(options, { environment, workspace, distribution, reporter }),
      cache,
      reuse: { previous: options.clearCache !== true, layers: true },
      settings: imageSettingsOf(options, environment),
      features: requirePlatformApi(environment.lifecycle.platformApi),
      reporter: withDisplayNames(destination, reporter),
      ...choiceOfRunImage({ settings, store: stores.local, reporter }, environment),
      checkOutput: async (output, image) => {
        await secrets.refuseIn(output, signal)
        await checkStart(output, image, join(settings.cacheDir, 'run-images'), signal)
      },
    },
    signal,
  )
  const elsewhere = await publishElsewhere(result.image, others, reporter, signal)
  return { ...result, names: [...result.published.names, ...elsewhere] }
}

/** The environment with the buildpacks that user and project choose. */
async function withBuildpacks(
  environment: BuildEnvironment,
  project: ProjectDescriptor | undefined,
  inputs: BuildOptions & Pick<OpenBuildpackInput, 'stores' | 'reporter'> & { readonly distribution: Distribution },
  { dir }: Workspace,
  signal: AbortSignal,
): Promise<BuildEnvironment> {
  const selection = await selectionOf(inputs, project, join(dir, 'scripts'))
  const builder = environment.buildpacks
  const opening = { ...inputs, bundled: bundledIn(inputs.distribution), builder, base: resolve('.') }
  const runImages = withMirrors(environment.runImages, inputs.runImageMirrors)
  return { ...environment, ...(await withSelection(environment, selection, opening, signal)), runImages }
}

/** The run image with the mirrors that the user has for it. */
function withMirrors(request: RunImageRequest, mirrors: BuildOptions['runImageMirrors'] = {}): RunImageRequest {
  const { image, mirrors: own } = request.names
  const more = Object.hasOwn(mirrors, image) ? (mirrors[image] ?? []) : []
  return { ...request, names: { image, mirrors: [...more, ...own] } }
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

function imagesOf(
  { platform }: Settings,
  { runImages }: BuildEnvironment,
  destinations: readonly [Destination, ...Destination[]],
  previous: ImageAt,
): PipelineImages {
  const [{ registry }] = destinations
  return {
    platform,
    previous,
    runImage: runImages,
    registry,
    destinations,
    // The phases in the sandbox read no image, so names without digests suffice.
    naming: { previous: previous.name, identify: name => name },
    describe: ({ names, image }) => Promise.resolve(runImageMetadata(image, names.image, names.mirrors)),
  }
}

function filesOf(
  workspace: Workspace,
  environment: BuildEnvironment,
  onGroup: (group: readonly GroupElement[]) => Promise<void>,
): PhaseFiles {
  return {
    layersDir: { host: workspace.layers, image: workspace.imagePaths.layers },
    appDir: { host: workspace.app, image: workspace.imagePaths.app },
    owner: environment.user,
    async writeAnalyzed(analyzed) {
      const file = join(workspace.layers, 'analyzed.toml')
      await wrapErrno(file, () => writeFile(file, formatAnalyzed(analyzed)))
    },
    async readGroup() {
      const group = await readGroup(workspace, environment)
      await onGroup(group)
      return group
    },
  }
}

/** Reads the group that detect wrote. It comes from a sandbox, so it may hold only what the build environment has (X28). */
async function readGroup(workspace: Workspace, { buildpacks }: BuildEnvironment): Promise<readonly GroupElement[]> {
  const where = join(workspace.layers, 'group.toml')
  const group = parseGroup((await readUntrusted(where)) ?? '', where)
  checkGroupIds(group)
  for (const { id, version } of group) {
    const known = buildpacks.some(b => b.descriptor.id === id && b.descriptor.version === version)
    if (!known)
      throw new BaleError('input', `detect chose ${id}@${version}, which the builder does not have`, { where })
  }
  return group
}

/** @throws BaleError 'arguments' for a malformed one, or phases that do not know it */
function requireExecEnv(text: string, api: string): string {
  if (requirePlatformApi(api).execEnv) return execEnvOf(text)
  throw new BaleError('arguments', `the builder's lifecycle speaks Platform API ${api}, which has no such setting`, {
    where: '--exec-env',
    fix: 'leave it out, or use --lifecycle bale',
  })
}

function imageSettingsOf(options: BuildOptions, { lifecycle }: BuildEnvironment): PipelineInput['settings'] {
  return {
    launcher: { path: lifecycle.launcher, version: lifecycleVersion },
    defaultProcess: options.defaultProcess,
    labels: options.labels,
    annotations: options.annotations,
    ...(options.execEnv !== undefined && { execEnv: requireExecEnv(options.execEnv, lifecycle.platformApi) }),
    project: {},
    createdEpoch: options.settings.sourceDateEpoch,
    compression: options.compression,
  }
}

function abortAfter(milliseconds: number, reason: BaleError): Disposable & { readonly signal: AbortSignal } {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(reason), milliseconds)
  return { signal: abort.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/** Returns the exit status for an error that `build` threw (platform.md, "Exit Code" of the phase it came from). */
export const exitStatusOf = exitStatus
