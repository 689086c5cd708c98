import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { BaleError } from '../errors.ts'
import { seeOutput } from '../event-stream.ts'
import type { Reporter } from '../events.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { fingerprintTree } from '../layers/tree/fingerprint.ts'
import { formatLayerToml } from '../spec/layer.ts'
import { writeAnew } from './write-file.ts'
import { parseBuildToml } from '../spec/build-toml.ts'
import { type LayerEnv, buildLayerPathVariables } from '../spec/env.ts'
import { combineProcesses, parseLaunch } from '../spec/launch.ts'
import { formatBuildMetadata } from '../spec/metadata.ts'
import { formatBuildpackPlan, planFor, withoutMet } from '../spec/plan.ts'
import type { BuildMetadata, GroupElement, LaunchDocument, ResolvedPlan, Target } from '../spec/types.ts'
import { type EnvSources, environmentOf } from './buildpack-environment.ts'
import { type Buildpack, type BuildpacksDir, executableOf } from './buildpacks-dir.ts'
import { readEnvDir } from './env-dir.ts'
import { keepEnvironment } from './kept-environment.ts'
import { type LayerOnDisk, buildpackLayersDir, readLayers } from './layers-dir.ts'
import { directoryState } from '../files/directories.ts'
import { readUntrusted } from '../files/read.ts'
import { runExecutable } from './run-executable.ts'
import { watchShortages } from './shortage.ts'
import { findSupervisor, supervisionOf } from './supervision.ts'
import { collectSboms } from './sbom.ts'

export interface BuildInput {
  readonly appDir: string
  readonly layersDir: string
  readonly platformDir: string
  readonly group: readonly GroupElement[]
  /** Image extensions that took part in generation, which the image records. */
  readonly extensions?: readonly GroupElement[]
  readonly plan: ResolvedPlan
  readonly buildpacks: BuildpacksDir
  readonly target: Target
  readonly execEnv: string
  readonly env: EnvSources
  readonly features: PlatformFeatures
  readonly reporter: Reporter
  /** The file that gets the environment of the running buildpack, for a shell after a failure. */
  readonly keptEnvironment?: string | undefined
  /** distribution/supervisor: isolates the buildpacks from each other, and ends the processes that each leaves behind. */
  readonly supervisor?: string | undefined
}

/**
 * Runs bin/build of each buildpack in the group, in order, and writes `<layers>/config/metadata.toml` (buildpack.md, "Phase
 * #5: Build"; platform.md, "builder").
 * @throws BaleError 'buildpack-failed' when a bin/build exits non-zero, 'input' when its output is invalid
 */
export async function build(input: BuildInput, signal?: AbortSignal): Promise<BuildMetadata> {
  const scratch = await mkdtemp(join(tmpdir(), 'bale-build-'))
  const launches: { buildpackId: string; launch: LaunchDocument }[] = []
  const layerEnvs: LayerEnv[] = []
  const finished: FinishedLayer[] = []
  let plan = input.plan
  const supervisor = input.supervisor && (await findSupervisor(input.supervisor, input.reporter))
  // Removes metadata of an earlier build.
  await rm(join(input.layersDir, 'sbom'), { recursive: true, force: true })
  try {
    for (const [index, element] of input.group.entries()) {
      const buildpack = await input.buildpacks.find(element.id, element.version)
      const planFile = join(scratch, `${index}.toml`)
      await writeFile(planFile, formatBuildpackPlan(planFor(plan, element)))
      await runBuild(buildpack, { ...input, supervisor }, layerEnvs, planFile, signal)
      const left = await takeOutputs(buildpack, input.layersDir)
      plan = withoutMet(plan, element, left.unmet)
      launches.push({ buildpackId: element.id, launch: left.launch })
      for (const layer of left.layers)
        if (layer.types.build && layer.exists) layerEnvs.push(await layerEnv(element.id, layer))
      if (index < input.group.length - 1) finished.push(...(await lookAtLayers(element.id, left.layers)))
    }
    for (const layer of finished) await checkUnchanged(layer, input)
    if (input.keptEnvironment !== undefined) await rm(input.keptEnvironment, { force: true })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const { processes, defaultProcessType } = combineProcesses(launches)
  const metadata: BuildMetadata = {
    buildpacks: input.group,
    ...(input.extensions && input.extensions.length > 0 && { extensions: input.extensions }),
    processes,
    slices: launches.flatMap(l => l.launch.slices),
    labels: launches.flatMap(l => l.launch.labels),
    defaultProcessType,
  }
  await mkdir(join(input.layersDir, 'config'), { recursive: true })
  await writeFile(join(input.layersDir, 'config', 'metadata.toml'), formatBuildMetadata(metadata, input.features))
  return metadata
}

async function runBuild(
  buildpack: Buildpack,
  input: BuildInput,
  layers: readonly LayerEnv[],
  planFile: string,
  signal?: AbortSignal,
): Promise<void> {
  const { descriptor, features } = buildpack
  const { id, version } = descriptor
  const layersDir = buildpackLayersDir(input.layersDir, id)
  if ((await directoryState(layersDir)) === 'absent') await mkdir(layersDir)
  const inputs = {
    CNB_PLATFORM_DIR: input.platformDir,
    CNB_BP_PLAN_PATH: planFile,
    CNB_LAYERS_DIR: layersDir,
  }
  const env = environmentOf(buildpack, input, features.envInputs ? inputs : {}, layers)
  await keepEnvironment(input.keptEnvironment, env)
  const started = performance.now()
  using shortages = watchShortages([input.layersDir, input.appDir, tmpdir(), ...(env['HOME'] ? [env['HOME']] : [])])
  input.reporter.event({ type: 'buildpack-started', buildpack: { id, version } })
  const exitCode = await runExecutable(
    {
      file: await executableOf(buildpack, 'build'),
      args: [layersDir, input.platformDir, planFile],
      env,
      workingDir: input.appDir,
      supervision: supervisionOf(input, input.supervisor, env['HOME'], layersDir),
      onLine: (stream, text) => input.reporter.event({ type: 'output', stream, text }),
    },
    signal,
  )
  const milliseconds = performance.now() - started
  if (exitCode !== 0) {
    shortages.report(input.reporter)
    throw new BaleError(
      'buildpack-failed',
      `${id}@${version} failed to build: bin/build exited with status ${exitCode}`,
      {
        fix: seeOutput,
      },
    )
  }
  input.reporter.event({ type: 'buildpack-finished', buildpack: { id, version }, milliseconds })
}

interface Outputs {
  readonly layers: readonly LayerOnDisk[]
  readonly launch: LaunchDocument
  readonly unmet: readonly string[]
}

/** Reads and validates the output of a bin/build, moves its ignored layers away and collects its SBOM files. */
async function takeOutputs(buildpack: Buildpack, layersDir: string): Promise<Outputs> {
  const { id } = buildpack.descriptor
  const dir = buildpackLayersDir(layersDir, id)
  const layers = await readLayers(layersDir, id)
  for (const layer of layers) {
    const { launch, build, cache } = layer.types
    // Moved away so that no later buildpack depends on it (buildpack.md, "Ignored Layers").
    if (!launch && !build && !cache && layer.exists) await rename(layer.dir, `${layer.dir}.ignore`)
  }
  const launchFile = join(dir, 'launch.toml')
  const buildFile = join(dir, 'build.toml')
  const launch = parseLaunch((await readUntrusted(launchFile)) ?? '', launchFile, buildpack.features)
  const { unmet } = parseBuildToml((await readUntrusted(buildFile)) ?? '', buildFile)
  const launchLayers = new Set(layers.filter(l => l.types.launch).map(l => l.name))
  await collectSboms(layersDir, buildpack.descriptor, dir, layer => launchLayers.has(layer))
  return { layers, launch, unmet }
}

/** A layer of a buildpack that has run, with its fingerprint at that time. */
interface FinishedLayer {
  readonly buildpackId: string
  readonly layer: LayerOnDisk
  readonly fingerprint: string
}

/** Fingerprints layers, except those only for the cache: tools that other buildpacks start may write to them. */
async function lookAtLayers(buildpackId: string, layers: readonly LayerOnDisk[]): Promise<FinishedLayer[]> {
  const wanted = layers.filter(({ exists, types }) => exists && (types.launch || types.build))
  const looks = await Promise.all(
    wanted.map(async layer => ({ buildpackId, layer, fingerprint: await fingerprintTree(layer.dir) })),
  )
  return looks.filter((layer): layer is FinishedLayer => layer.fingerprint !== undefined)
}

/**
 * A buildpack may write only to its own layers (buildpack.md, "Build"), but all of them belong to one user. A layer that a
 * later buildpack changed goes into this image with the change, but is not stored for later builds (X49).
 */
async function checkUnchanged(
  { buildpackId, layer, fingerprint }: FinishedLayer,
  { layersDir, reporter }: BuildInput,
): Promise<void> {
  const { name, dir, types } = layer
  const now = (await directoryState(dir)) === 'directory' ? await fingerprintTree(dir) : undefined
  if (now === fingerprint) return
  writeAnew(`${dir}.toml`, formatLayerToml({}, { ...types, cache: false }), layersDir)
  reporter.event({
    type: 'warning',
    text: `the layer ${buildpackId}:${name} was changed by a buildpack that ran later, so no other build will use it`,
    fix: 'find the buildpack that writes there; one of its install scripts may have replaced a program',
  })
}

/** Applies a build layer to the environment of later buildpacks (buildpack.md, "Provided by the Buildpacks"). */
async function layerEnv(buildpackId: string, layer: LayerOnDisk): Promise<LayerEnv> {
  const paths: Record<string, string> = {}
  for (const [variable, child] of Object.entries(buildLayerPathVariables)) {
    const path = join(layer.dir, child)
    if ((await directoryState(path).catch(() => 'absent')) === 'directory') paths[variable] = path
  }
  return {
    buildpackId,
    paths,
    env: await readEnvDir(join(layer.dir, 'env')),
    envBuild: await readEnvDir(join(layer.dir, 'env.build')),
  }
}
