import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, EngineRun, Mount } from '../engines/engine.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { envOf, labelOf } from '../image/config.ts'
import { type BuildpackPhase, type PhaseRunner, type RunLimits, engineRunner } from '../phase-runner.ts'
import { escapeId } from '../spec/ids.ts'
import { labels } from '../spec/labels.ts'
import type { BuildEnvironment, Phases } from './build-environment.ts'
import { type BuildConfigVariable, buildConfigFiles } from './builder.ts'
import type { Files } from './builders/node-runtime.ts'
import { type Interaction, keptEnvironment, withShell } from './failed-phase-shell.ts'
import type { SshForwarding } from './ssh/forward.ts'
import { type Workspace, paths } from './workspace.ts'

/** The inputs of detect and build, besides the build environment. */
export interface PhaseSandbox {
  readonly engine: Engine
  readonly environment: BuildEnvironment
  readonly workspace: Workspace
  readonly network: 'none' | 'host'
  /** CNB_EXEC_ENV */
  readonly execEnv?: string | undefined
  /** Further directories of this machine that the user shows to buildpacks. */
  readonly volumes?: readonly Mount[] | undefined
  /** Access to SSH keys. */
  readonly ssh?: Pick<SshForwarding, 'mounts' | 'agent'> | undefined
  /** A shell for the user after a phase fails. */
  readonly interaction?: Interaction | undefined
  /** Proxy variables. No other variables of the caller enter the sandbox. */
  readonly proxies: Readonly<Record<string, string>>
}

const lifecycle = '/cnb/lifecycle'
type OwnPhases = Extract<Phases, { from: 'bale' }>

/** The start of argv of Bale's own phase binary. Without the flag, every user of this machine could reach Node's inspector (X37). */
export const ownPhase = [`${lifecycle}/node`, '--disable-sigusr1', `${lifecycle}/phase.cjs`] as const

/** Runs the phase binaries in a sandbox. */
export function sandboxRunner(sandbox: PhaseSandbox, reporter: Reporter, limits: RunLimits): PhaseRunner {
  const prepare = async (phase: BuildpackPhase): Promise<Omit<EngineRun, 'onOutput'>> => {
    await prepareMountPoints(sandbox)
    return await runOf(phase, sandbox)
  }
  const runner = engineRunner(sandbox.engine, reporter, prepare, limits)
  const { interaction } = sandbox
  return interaction === undefined ? runner : withShell(runner, sandbox.engine, interaction, prepare)
}

async function runOf(phase: BuildpackPhase, sandbox: PhaseSandbox): Promise<Omit<EngineRun, 'onOutput'>> {
  return {
    argv: argvOf(phase, sandbox),
    env: {
      ...environmentOf(sandbox),
      ...appVariable(sandbox),
      ...keptVariable(sandbox),
      ...(sandbox.environment.isExtended === true && { BALE_EXTENDED: 'build' }),
    },
    workingDir: sandbox.workspace.imagePaths.app,
    mounts: await mountsOf(phase, sandbox),
    network: sandbox.network,
    user: sandbox.environment.user,
  }
}

/** Set only if the path differs from the default of the phases. */
function appVariable({ workspace }: PhaseSandbox): Record<string, string> {
  const { app } = workspace.imagePaths
  return app === paths.app ? {} : { CNB_APP_DIR: app }
}

function keptVariable({ interaction }: PhaseSandbox): Record<string, string> {
  return interaction === undefined ? {} : { BALE_KEPT_ENVIRONMENT: `${paths.layers}/${keptEnvironment}` }
}

function argvOf(phase: BuildpackPhase, { environment, workspace }: PhaseSandbox): string[] {
  const { phases } = environment.lifecycle
  const binary = phase === 'detect' ? 'detector' : 'builder'
  if (phases.from === 'image') {
    const order = phase === 'detect' ? ['-order', `${paths.layers}/order.toml`] : []
    return [`${lifecycle}/${binary}`, '-app', workspace.imagePaths.app, '-layers', paths.layers, ...order]
  }
  return [...ownPhase, binary]
}

/** The root file system is read-only, so each nested mount needs a mount point that exists before. */
async function prepareMountPoints({ workspace, environment }: PhaseSandbox): Promise<void> {
  await wrapErrno(workspace.dir, async () => {
    const { phases } = environment.lifecycle
    if (phases.from === 'bale') await prepareLifecycle(workspace.lifecycle, phases)
    if (environment.hasBuildpacks) return
    await mkdir(join(workspace.cnb, 'lifecycle'), { recursive: true })
    await writeBuildConfig(join(workspace.cnb, 'build-config', 'env'), environment.buildConfig)
    for (const { path } of moduleMounts(environment))
      await mkdir(join(workspace.cnb, path.slice('/cnb/'.length)), { recursive: true })
    await writeFile(join(workspace.cnb, 'order.toml'), '', { flag: 'a' })
  })
}

/** The files of /cnb/lifecycle: the phases, and the Node that runs them. */
async function lifecycleFiles({ dir, runtime }: OwnPhases): Promise<Files> {
  const names = await readdir(dir)
  return { ...Object.fromEntries(names.map(name => [name, join(dir, name)])), ...runtime }
}

/** A file for each variable (platform.md, "Operator-Defined Variables"). */
export async function writeBuildConfig(dir: string, variables: readonly BuildConfigVariable[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (const [name, text] of Object.entries(buildConfigFiles(variables))) await writeFile(join(dir, name), text)
}

async function mountsOf(phase: BuildpackPhase, sandbox: PhaseSandbox): Promise<Mount[]> {
  const { workspace, environment, volumes = [], ssh } = sandbox
  const { lifecycle: life, hasBuildpacks } = environment
  return [
    ...volumes,
    ...(ssh?.mounts ?? []),
    ...(hasBuildpacks ? [] : [readOnly(workspace.cnb, '/cnb')]),
    ...(life.phases.from === 'bale' ? await lifecycleMounts(workspace.lifecycle, life.phases) : []),
    ...moduleMounts(environment),
    readOnly(workspace.platform, paths.platform),
    { hostPath: workspace.layers, path: paths.layers, access: 'read-write' },
    // buildpack.md, "Detection": the app directory is read-only there.
    {
      hostPath: workspace.app,
      path: workspace.imagePaths.app,
      access: phase === 'detect' ? 'read-only' : 'read-write',
    },
  ]
}

/** Buildpacks and extensions that are not in the image. */
function moduleMounts({ buildpacks, extensions }: BuildEnvironment): Mount[] {
  return [...buildpacks, ...extensions].flatMap(({ kind, descriptor, dir }) => {
    const within = kind === 'extension' ? paths.extensions : paths.buildpacks
    return dir === undefined ? [] : [readOnly(dir, `${within}/${escapeId(descriptor.id)}/${descriptor.version}`)]
  })
}

const readOnly = (hostPath: string, path: string): Mount => ({ hostPath, path, access: 'read-only' })

/** Makes a place in a directory for each file of the lifecycle. */
export async function prepareLifecycle(dir: string, phases: OwnPhases): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (const name of Object.keys(await lifecycleFiles(phases))) await writeFile(join(dir, name), '', { flag: 'a' })
}

/** @param dir the directory with the places */
export async function lifecycleMounts(dir: string, phases: OwnPhases): Promise<Mount[]> {
  const files = Object.entries(await lifecycleFiles(phases))
  return [readOnly(dir, lifecycle), ...files.map(([name, hostPath]) => readOnly(hostPath, `${lifecycle}/${name}`))]
}

/** The variables of a phase that runs buildpacks. */
export function environmentOf({
  environment,
  proxies,
  execEnv,
}: Pick<PhaseSandbox, 'environment' | 'proxies' | 'execEnv'>): Record<string, string> {
  const { config } = environment.rootfs
  return {
    ...proxies,
    ...variablesOf(environment),
    PATH: envOf(config, 'PATH') ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/home/cnb',
    CNB_PLATFORM_API: environment.lifecycle.platformApi,
    ...(execEnv !== undefined && { CNB_EXEC_ENV: execEnv }),
    ...(environment.lifecycle.phases.from === 'bale' && { BALE_LOG_FORMAT: 'jsonl' }),
  }
}

/** The build image's own variables. Phases pass the ones that the specification allows to buildpacks. */
function variablesOf({
  rootfs: { config },
  hasBuildpacks,
  isExtended = false,
}: BuildEnvironment): Record<string, string> {
  const stackId = envOf(config, 'CNB_STACK_ID') ?? labelOf(config, labels.stackId)
  const own = hasBuildpacks || isExtended ? (config.config?.Env ?? []) : []
  const entries = own.flatMap((entry): [string, string][] => {
    const [, name = '', value = ''] = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/.exec(entry) ?? []
    // These variables would affect the Node that runs the phases, or its loader.
    return name === '' || /^(NODE_|LD_|BALE_)/.test(name) ? [] : [[name, value]]
  })
  return { ...Object.fromEntries(entries), ...(stackId !== undefined && { CNB_STACK_ID: stackId }) }
}
