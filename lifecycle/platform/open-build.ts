import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import { readUntrusted } from '../files/read.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { type PhaseRunner, outOfTime } from '../phase-runner.ts'
import type { Emulator } from '../processes/emulation.ts'
import { runImageMetadata } from '../phases/analyze.ts'
import type { RunImageNames } from '../phases/run-image.ts'
import type { DetectionInput, PhaseFiles, PipelineImages } from '../pipeline.ts'
import { formatAnalyzed } from '../spec/analyzed.ts'
import { requirePlatformApi } from '../spec/api.ts'
import { execEnvOf } from '../spec/exec-env.ts'
import { parseGroup } from '../spec/group.ts'
import { checkGroupIds } from '../spec/ids.ts'
import { formatOrder } from '../spec/order.ts'
import type { ProjectDescriptor } from '../spec/project-descriptor.ts'
import type { Group, GroupElement } from '../spec/types.ts'
import { type Destination, type ImageAt, Stores } from '../stores/open.ts'
import type { BuildEnvironment } from './build-environment.ts'
import { openEnvironment } from './open-environment.ts'
import { type BuildOptions, packingOf } from './build-options.ts'
import { checkSource } from './copy-source.ts'
import { openPlace, openRunner } from './build-place.ts'
import { requireExtensions, withExtensions } from './builders/extension-selection.ts'
import { type OpenBuildpackInput, openBuildpack } from './builders/open-buildpack.ts'
import { scriptsIn, selectionOf } from './builders/project-selection.ts'
import { type OpenChoice, withSelection } from './builders/selection.ts'
import { copySource } from './copy-source.ts'
import { type Distribution, bundledIn, findDistribution } from './distribution.ts'
import type { Interaction } from './failed-phase-shell.ts'
import type { Mask } from '../phases/mask.ts'
import { maskPasswords } from '../phases/proxies.ts'
import { maskCredentials } from '../phases/registry-credentials.ts'
import { withDisplayNames } from './publish.ts'
import { BuildSecrets } from '../phases/secrets.ts'
import { type Settings, emulatorFor } from './settings.ts'
import { type CacheLocations, cacheLocations, localDirs } from './shared-caches.ts'
import { type SourceSettings, readSourceSettings } from './source-filter.ts'
import { type SshForwarding, forwardSsh } from './ssh/forward.ts'
import { sayUnreadSettings } from './unread-settings.ts'
import { type Workspace, writePlatformEnv } from './workspace.ts'

// The common part of `build` and `plan`: everything before the first phase.

/** The builder of a build, and the source of the choice. */
export interface ChosenBuilder {
  readonly chosenBy: 'options' | 'project' | 'default' | 'bale'
  /** The name as the user wrote it; absent for Bale's own builder. */
  readonly name?: string
}

export interface OpenBuild {
  readonly options: BuildOptions
  readonly secrets: BuildSecrets
  /** Hides secrets, passwords of proxies, and the credentials of registries. */
  readonly mask: Mask
  /** Masks everything that it reports. */
  readonly reporter: Reporter
  readonly distribution: Distribution
  readonly stores: Stores
  readonly destinations: readonly [Destination, ...Destination[]]
  readonly caches: CacheLocations
  readonly workspace: Workspace
  /** Access to SSH keys, if the user gives it to buildpacks. */
  readonly ssh: SshForwarding | undefined
  readonly builder: ChosenBuilder
  readonly environment: BuildEnvironment
  /** The emulator for the environment's programs, if they are for another architecture than this machine's. */
  readonly emulator: Emulator | undefined
  readonly source: SourceSettings & { readonly dir: string }
}

const defaultTimeout = 2 * 3600_000

/**
 * Opens destinations, build environment and workspace, runs `use` on them until the time of the build is over, and closes
 * them. Secrets are masked in events and errors.
 * @throws BaleError
 */
export async function withOpenBuild<T>(
  options: BuildOptions,
  use: (build: OpenBuild, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const secrets = new BuildSecrets(options.secrets ?? [])
  const mask = secrets.and(maskPasswords(options.settings.environment))
  const reporter = mask.masked(options.reporter ?? silent)
  secrets.warnOfShort(reporter)
  try {
    return await openAndUse(options, { secrets, reporter, mask }, use)
  } catch (error) {
    throw mask.maskError(error)
  }
}

async function openAndUse<T>(
  options: BuildOptions,
  masking: Pick<OpenBuild, 'secrets' | 'reporter' | 'mask'>,
  use: (build: OpenBuild, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { reporter } = masking
  const { settings, timeout = defaultTimeout } = options
  using timer = abortAfter(timeout, outOfTime('the build', timeout, '--timeout'))
  const signal = AbortSignal.any([timer.signal, ...(options.signal ? [options.signal] : [])])
  const distribution = options.distribution ?? findDistribution(import.meta.url)
  const { architecture } = settings.platform
  // In a container, the environment refuses other architectures itself.
  const emulator = distribution.container === undefined ? await emulatorFor(settings, architecture) : undefined
  if (emulator !== undefined) requireLauncher(distribution, architecture)
  await using stores = new Stores(settings, reporter, packingOf(options))
  maskCredentials(stores.credentials, masking.mask)
  const names = [options.image, ...(options.tags ?? [])]
  const caches = cacheLocations(options)
  const destinations = await stores.destinations(names, options.publish === true)
  const dir = resolve(options.path ?? '.')
  await checkSource(dir)
  requireExtensions(options.extensions ?? [], options.lifecycle, distribution.container !== undefined)
  await using workspace = await openPlace(distribution, settings.cacheDir, dir, options.workspace)
  await using ssh = await openSsh(options, workspace, reporter, signal)
  const source = await readSourceSettings({
    dir,
    descriptor: options.descriptor,
    images: [...names, ...(options.cacheImage === undefined ? [] : [options.cacheImage])],
    outputs: [settings.cacheDir, settings.dataDir, ...localDirs(caches), ...(options.outputs ?? [])],
    reporter,
  })
  const builder = chooseBuilder(options, source.project)
  const inputs = { ...options, distribution, stores, reporter, builder: builder.name }
  const opened = await openEnvironment(inputs, signal)
  const ofUser = { ...opened, user: userOf(opened, options, builder.name) }
  const environment = await withBuildpacks(ofUser, source.project, inputs, workspace, signal)
  const build = { ...masking, options, distribution, stores, destinations, caches, workspace, ssh, builder }
  return await use({ ...build, environment, emulator, source: { ...source, dir } }, signal)
}

async function openSsh(
  { ssh, network, settings: { environment } }: BuildOptions,
  { ssh: place, dir: tmpDir }: Workspace,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<SshForwarding | undefined> {
  if (ssh === undefined) return undefined
  if (network === 'none')
    throw new BaleError('usage', 'SSH needs the network', {
      where: '--ssh --network none',
      fix: 'leave one of them out',
    })
  return await forwardSsh({ keys: ssh, place, tmpDir, environment, reporter, signal })
}

/** @throws BaleError 'input' for a builder whose user is root: buildpacks never run as root */
function userOf(
  { user }: BuildEnvironment,
  options: BuildOptions,
  builder: string | undefined,
): BuildEnvironment['user'] {
  const { uid = user.uid, gid = user.gid } = options.user ?? {}
  if (uid !== 0) return { uid, gid }
  throw new BaleError('input', 'the user of the builder is root, and buildpacks never run as root', {
    ...(builder !== undefined && { where: builder }),
    fix: 'use a builder whose CNB_USER_ID is not 0, or name a user: --uid and --gid',
  })
}

/** @throws BaleError 'engine' if there is none for another architecture: a checkout needs a compiler to make it */
function requireLauncher(distribution: Distribution, architecture: string): void {
  const where = distribution.launcher(architecture)
  if (existsSync(where)) return
  throw new BaleError('engine', `there is no launcher for linux/${architecture}, which starts the app in its image`, {
    where,
    fix: `in a checkout: apt-get install gcc-${architecture === 'arm64' ? 'aarch64' : 'x86-64'}-linux-gnu, and npm run bundle`,
  })
}

function chooseBuilder({ builder, defaultBuilder }: BuildOptions, project?: ProjectDescriptor): ChosenBuilder {
  if (builder !== undefined) return { chosenBy: 'options', name: builder }
  if (project?.builder !== undefined) return { chosenBy: 'project', name: project.builder }
  return defaultBuilder === undefined ? { chosenBy: 'bale' } : { chosenBy: 'default', name: defaultBuilder }
}

/** Fills the workspace: source, variables, bindings, order. Returns the input of analyze and detect. */
export async function prepareDetection(build: OpenBuild, signal: AbortSignal): Promise<DetectionInput> {
  const { options, secrets, reporter, stores, destinations, workspace, environment, source } = build
  const { platformApi } = environment.lifecycle
  if (options.execEnv !== undefined) requireExecEnv(options.execEnv, platformApi)
  const { previousImage } = options
  const previous = previousImage === undefined ? destinations[0].previous : await stores.source(previousImage)
  const { dir, filter, keepsGit } = source
  const variables = { ...source.env, ...options.env }
  await writePlatformEnv(workspace.platform, { ...build.ssh?.variables, ...variables })
  await secrets.writeBindings(workspace.platform)
  await copySource(dir, workspace.app, { reporter, filter, keepsGit, signal })
  await writeFile(join(workspace.layers, 'order.toml'), formatOrder(environment.order))
  return {
    images: imagesOf(options.settings, environment, destinations, previous),
    files: filesOf(workspace, environment, group =>
      sayUnreadSettings(variables, group, environment, reporter, options.secrets),
    ),
    runner: await runnerOf(build, environment),
    features: requirePlatformApi(platformApi),
    reporter: withDisplayNames(destinations[0], reporter),
  }
}

/** Opens the runner of buildpacks in an environment of the build. */
export async function runnerOf(build: OpenBuild, environment: BuildEnvironment): Promise<PhaseRunner> {
  const { options, reporter, distribution, workspace, ssh, emulator } = build
  const { interaction } = options
  const masked = interaction && {
    ...interaction,
    begin: ((phase, error) => interaction.begin(phase, build.mask.maskError(error))) satisfies Interaction['begin'],
  }
  const parts = { environment, emulator, workspace, ssh, distribution, reporter }
  return openRunner({ ...options, interaction: masked }, parts)
}

/** Returns the environment with the buildpacks and image extensions that user and project choose. */
async function withBuildpacks(
  environment: BuildEnvironment,
  project: ProjectDescriptor | undefined,
  inputs: BuildOptions & Pick<OpenBuildpackInput, 'stores' | 'reporter'> & { readonly distribution: Distribution },
  { dir }: Workspace,
  signal: AbortSignal,
): Promise<BuildEnvironment> {
  const selection = await selectionOf(inputs, project, scriptsIn(join(dir, 'scripts')))
  const builder = environment.buildpacks
  const opening = { ...inputs, bundled: bundledIn(inputs.distribution), builder, base: resolve('.') }
  const open: OpenChoice = (uri, where, until) => openBuildpack(uri, where, opening, until)
  const ofExtensions = { ...opening, builder: environment.extensions, kind: 'extension' as const }
  const openExtension: OpenChoice = (uri, where, until) => openBuildpack(uri, where, ofExtensions, until)
  const selected = await withExtensions(environment, inputs.extensions ?? [], openExtension, signal)
  const addMirrors = (names: RunImageNames): RunImageNames => withMirrors(names, inputs.runImageMirrors)
  const { runImages, knownRunImages = [] } = environment
  return {
    ...environment,
    extensions: selected.extensions,
    ...(await withSelection({ ...environment, order: selected.order }, selection, open, signal)),
    runImages: { ...runImages, names: addMirrors(runImages.names) },
    knownRunImages: knownRunImages.map(addMirrors),
  }
}

/** Adds the user's mirrors to a run image. */
function withMirrors(
  { image, mirrors: own }: RunImageNames,
  mirrors: BuildOptions['runImageMirrors'] = {},
): RunImageNames {
  const more = Object.hasOwn(mirrors, image) ? (mirrors[image] ?? []) : []
  return { image, mirrors: [...more, ...own] }
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
      await onGroup(group.buildpacks)
      return group
    },
  }
}

/**
 * Reads the group that detect wrote. It comes from a sandbox, so it may name only buildpacks and extensions of the build
 * environment (X28).
 */
async function readGroup(workspace: Workspace, { buildpacks, extensions, order }: BuildEnvironment): Promise<Group> {
  const where = join(workspace.layers, 'group.toml')
  const group = parseGroup((await readUntrusted(where)) ?? '', where)
  if (group.extensions[0] !== undefined && order.extensions.length === 0)
    throw new BaleError(
      'input',
      `detect selected the image extension ${group.extensions[0].id}, which this build does not support`,
      {
        where,
      },
    )
  checkGroupIds(group.buildpacks)
  for (const [chosen, modules] of [
    [group.buildpacks, buildpacks],
    [group.extensions, extensions],
  ] as const)
    for (const { id, version } of chosen) {
      const known = modules.some(b => b.descriptor.id === id && b.descriptor.version === version)
      if (!known)
        throw new BaleError('input', `detect selected ${id}@${version}, which is not in the builder`, { where })
    }
  return group
}

/** @throws BaleError 'arguments' for a malformed value, or phases that do not support it */
function requireExecEnv(text: string, api: string): void {
  if (requirePlatformApi(api).execEnv) return void execEnvOf(text)
  throw new BaleError(
    'arguments',
    `the builder's lifecycle uses Platform API ${api}, which does not have this setting`,
    {
      where: '--exec-env',
      fix: 'leave it out, or use --lifecycle bale',
    },
  )
}

function abortAfter(milliseconds: number, reason: BaleError): Disposable & { readonly signal: AbortSignal } {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(reason), milliseconds)
  return { signal: abort.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}
