import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { appCache } from './app-cache.ts'
import { type Builder, loadBuilder } from './builder.ts'
import { chooseRunImage } from './choose-run-image.ts'
import { type Distribution, findDistribution } from './distribution.ts'
import { publishElsewhere, withDisplayNames, displayNames } from './publish.ts'
import { type PhaseSandbox, paths, runPhase } from './phase-sandbox.ts'
import type { Settings } from './settings.ts'
import { type InstalledStack, ensureStack } from './stack.ts'
import { type Workspace, copySource, openWorkspace, writePlatformEnv } from './workspace.ts'
import { bubblewrapEngine } from '../engines/bubblewrap.ts'
import { BaleError, type PhaseName, exitStatus, inPhase } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import { analyze, runImageMetadata } from '../phases/analyze.ts'
import { type Exported, exportImage } from '../phases/export.ts'
import { readUntrusted } from '../files/read.ts'
import { restore } from '../phases/restore.ts'
import { requirePlatformApi } from '../spec/api.ts'
import { formatAnalyzed } from '../spec/analyzed.ts'
import { parseGroup } from '../spec/group.ts'
import { checkGroupIds } from '../spec/ids.ts'
import { formatOrder } from '../spec/order.ts'
import type { GroupElement } from '../spec/types.ts'
import type { Compression } from '../image/media-types.ts'
import { lifecycleVersion } from '../version.ts'
import { Stores, hostPlatform } from '../stores/open.ts'

export interface BuildOptions {
  /** Where the image goes, as skopeo would say it; a plain name is kept in Bale's own store. */
  readonly image: string
  readonly settings: Settings
  /** The directory with the source; the working directory by default. */
  readonly path?: string
  /** A builder.toml, or a directory with one; Bale's own by default. */
  readonly builder?: string
  /** For buildpacks, at build time. */
  readonly env?: Readonly<Record<string, string>>
  /** More names for the image; each may be in another place. */
  readonly tags?: readonly string[]
  readonly runImage?: string
  /** Plain names go to the registry they name, not to Bale's own store. */
  readonly publish?: boolean
  readonly clearCache?: boolean
  /** An image in a registry that keeps what builds leave for the next one, instead of a directory of this machine. */
  readonly cacheImage?: string
  /** Of the layers that are made; gzip by default, which everything reads. */
  readonly compression?: Compression
  readonly defaultProcess?: string
  /** What buildpacks reach: `host` by default, since they download dependencies. */
  readonly network?: 'none' | 'host'
  readonly reporter?: Reporter
  readonly distribution?: Distribution
  readonly signal?: AbortSignal
}

export interface BuildResult extends Exported {
  readonly group: readonly GroupElement[]
  /** Every name that the image was given, in every place. */
  readonly names: readonly string[]
}

/** The platform API that `bale build` speaks with its own phases. */
const platformApi = '0.15'

/**
 * Source code in, image out: the whole line, top to bottom.
 * @throws BaleError; `exitStatusOf(error)` is what `bale build` exits with
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const { settings } = options
  const reporter = options.reporter ?? silent
  const signal = options.signal ?? new AbortController().signal
  const features = requirePlatformApi(platformApi)
  const distribution = options.distribution ?? findDistribution(import.meta.url)
  const builder = await loadBuilder(options.builder ?? distribution.builder)
  await using stores = new Stores(settings, reporter, options.compression)
  const names = [options.image, ...(options.tags ?? [])]
  const publish = options.publish === true
  const [destination, ...others] = await stores.destinations(names, publish)
  const [titles = [], ...otherTitles] = displayNames(names, publish)
  const platform = hostPlatform()
  const arch = platform.architecture
  const stack = await ensureStack({ stackDir: builder.stackDir, arch, settings, store: stores.local, reporter }, signal)
  await using workspace = await openWorkspace(settings.cacheDir)
  const sandbox = openSandbox(options, { builder, distribution, stack, workspace, reporter })
  const [cacheImage] = options.cacheImage === undefined ? [] : await stores.destinations([options.cacheImage], true)
  await using kept = await appCache(settings.cacheDir, destination, {
    clear: options.clearCache === true,
    ...(cacheImage && { image: cacheImage }),
    reporter,
  })
  const { cache, index } = kept
  cache.prefetchTrees?.()
  const layersDir = { host: workspace.layers, image: paths.layers }
  const timed = phaseTimer(reporter)

  await writePlatformEnv(workspace.platform, options.env ?? {})
  await copySource(resolve(options.path ?? '.'), workspace.app, reporter, signal)

  const runImage = await chooseRunImage({ wanted: options.runImage ?? builder.runImage, stack, stores, destination })
  const analysis = await timed('analyze', () =>
    analyze(
      { platform, previous: destination.previous, runImage, destinations: [destination, ...others], reporter },
      signal,
    ),
  )
  await writeFile(
    join(workspace.layers, 'analyzed.toml'),
    formatAnalyzed({ runImage: { reference: runImage.name, target: analysis.target } }),
  )
  await writeFile(join(workspace.layers, 'order.toml'), formatOrder(builder.order))

  const group = await timed('detect', async () => {
    await runPhase('detect', sandbox, signal)
    return readGroup(workspace, builder)
  })
  const previous = options.clearCache === true ? undefined : analysis.previous
  await timed('restore', () =>
    restore({ layersDir, group, ...(previous && { previous }), cache, features, reporter }, signal),
  )
  await timed('build', () => runPhase('build', sandbox, signal))

  // From here on no process of the sandbox is alive, and nothing that it left is believed.
  const exported = await timed('export', () =>
    exportImage(
      {
        layersDir,
        appDir: { host: workspace.app, image: paths.app },
        group,
        runImage: {
          image: analysis.runImage,
          metadata: runImageMetadata(analysis.runImage, runImage.name, runImage.mirrors),
        },
        ...(analysis.previous && { previous: analysis.previous }),
        destination,
        cache,
        index,
        ...(options.compression && { compression: options.compression }),
        launcher: { path: distribution.launcher(arch), version: lifecycleVersion },
        owner: stack.user,
        ...(options.defaultProcess !== undefined && { defaultProcess: options.defaultProcess }),
        project: {},
        ...(settings.sourceDateEpoch !== undefined && { createdEpoch: settings.sourceDateEpoch }),
        features,
        reporter: withDisplayNames(titles, reporter),
      },
      signal,
    ),
  )
  const elsewhere = await publishElsewhere(exported.image, others, { titles: otherTitles, reporter }, signal)
  return { ...exported, group, names: [...exported.published.names, ...elsewhere] }
}

function openSandbox(
  options: BuildOptions,
  parts: {
    builder: Builder
    distribution: Distribution
    stack: InstalledStack
    workspace: Workspace
    reporter: Reporter
  },
): PhaseSandbox {
  const { stack, workspace } = parts
  const { environment, caBundle } = options.settings
  const engine = bubblewrapEngine({
    rootfs: stack.buildRoot,
    tmpDir: workspace.dir,
    ...(caBundle !== undefined && { caBundle }),
  })
  const proxies = Object.fromEntries(
    Object.entries(environment).filter(
      (e): e is [string, string] => e[1] !== undefined && /^(https?|no|all)_proxy$/i.test(e[0]),
    ),
  )
  return {
    ...parts,
    engine,
    buildConfig: stack.buildConfig,
    user: stack.user,
    network: options.network ?? 'host',
    proxies,
  }
}

/** The group that detect wrote. It comes from a sandbox: only what the builder has can be in it (X28). */
async function readGroup(workspace: Workspace, builder: Builder): Promise<readonly GroupElement[]> {
  const where = join(workspace.layers, 'group.toml')
  const group = parseGroup((await readUntrusted(where)) ?? '', where)
  checkGroupIds(group)
  for (const { id, version } of group) {
    const known = builder.buildpacks.some(b => b.descriptor.id === id && b.descriptor.version === version)
    if (!known)
      throw new BaleError('input', `detect chose ${id}@${version}, which the builder does not have`, { where })
  }
  return group
}

/** Runs phases one after another, and tells how long each took. */
function phaseTimer(reporter: Reporter) {
  return async <T>(phase: PhaseName, run: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    reporter.event({ type: 'phase-started', phase })
    const result = await inPhase(phase, run)
    reporter.event({ type: 'phase-finished', phase, milliseconds: performance.now() - started })
    return result
  }
}

/** The exit status for an error that `build` threw (platform.md, "Exit Code" of the phase it came from). */
export const exitStatusOf = exitStatus
