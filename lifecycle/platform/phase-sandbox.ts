import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, EngineRun, Mount } from '../engines/engine.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { envOf } from '../image/config.ts'
import { type BuildpackPhase, type PhaseRunner, type RunLimits, engineRunner } from '../phase-runner.ts'
import { escapeId } from '../spec/ids.ts'
import { platformApi } from './api.ts'
import type { BuildEnvironment } from './build-environment.ts'
import type { BuildConfigVariable } from './builder.ts'
import type { Workspace } from './workspace.ts'

/** The inputs of detect and build, besides the build environment. */
export interface PhaseSandbox {
  readonly engine: Engine
  readonly environment: BuildEnvironment
  readonly workspace: Workspace
  readonly network: 'none' | 'host'
  /** Proxy variables. No other variables of the caller enter the sandbox. */
  readonly proxies: Readonly<Record<string, string>>
}

export const paths = {
  layers: '/layers',
  app: '/workspace',
  platform: '/platform',
  buildpacks: '/cnb/buildpacks',
} as const
const node = '/cnb/lifecycle/node'

/** Runs the phase binaries in a sandbox. */
export function sandboxRunner(sandbox: PhaseSandbox, reporter: Reporter, limits: RunLimits): PhaseRunner {
  const prepare = async (phase: BuildpackPhase): Promise<Omit<EngineRun, 'onOutput'>> => {
    await prepareMountPoints(sandbox)
    return runOf(phase, sandbox)
  }
  return engineRunner(sandbox.engine, reporter, prepare, limits)
}

function runOf(phase: BuildpackPhase, sandbox: PhaseSandbox): Omit<EngineRun, 'onOutput'> {
  return {
    // Its inspector would be reachable for every user of this machine (X37).
    argv: [node, '--disable-sigusr1', '/cnb/lifecycle/phase.cjs', phase === 'detect' ? 'detector' : 'builder'],
    env: environmentOf(sandbox),
    workingDir: paths.app,
    mounts: mountsOf(phase, sandbox),
    network: sandbox.network,
    user: sandbox.environment.user,
  }
}

/** The root file system is read-only: what is mounted below /cnb needs a mount point there first. */
async function prepareMountPoints({ workspace, environment }: PhaseSandbox): Promise<void> {
  await wrapErrno(workspace.cnb, async () => {
    await mkdir(join(workspace.cnb, 'lifecycle'), { recursive: true })
    await writeBuildConfig(join(workspace.cnb, 'build-config', 'env'), environment.buildConfig)
    for (const { descriptor } of environment.buildpacks) {
      await mkdir(join(workspace.cnb, 'buildpacks', escapeId(descriptor.id), descriptor.version), { recursive: true })
    }
    await writeFile(join(workspace.cnb, 'order.toml'), '', { flag: 'a' })
  })
}

/** A file for each variable (platform.md, "Operator-Defined Variables"). */
async function writeBuildConfig(dir: string, variables: readonly BuildConfigVariable[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (const { name, value, suffix, delim } of variables) {
    await writeFile(join(dir, suffix === undefined ? name : `${name}.${suffix}`), value)
    if (delim !== undefined) await writeFile(join(dir, `${name}.delim`), delim)
  }
}

function mountsOf(phase: BuildpackPhase, { workspace, environment }: PhaseSandbox): Mount[] {
  const { lifecycle, buildpacks } = environment
  return [
    { hostPath: workspace.cnb, path: '/cnb', access: 'read-only' },
    { hostPath: lifecycle.dir, path: '/cnb/lifecycle', access: 'read-only' },
    { hostPath: lifecycle.node, path: node, access: 'read-only' },
    ...buildpacks.map(({ descriptor, dir }): Mount => {
      const path = `${paths.buildpacks}/${escapeId(descriptor.id)}/${descriptor.version}`
      return { hostPath: dir, path, access: 'read-only' }
    }),
    { hostPath: workspace.platform, path: paths.platform, access: 'read-only' },
    { hostPath: workspace.layers, path: paths.layers, access: 'read-write' },
    // buildpack.md, "Detection": the app directory is read-only there.
    { hostPath: workspace.app, path: paths.app, access: phase === 'detect' ? 'read-only' : 'read-write' },
  ]
}

function environmentOf({ environment: { rootfs }, proxies }: PhaseSandbox): Record<string, string> {
  const stackId = envOf(rootfs.config, 'CNB_STACK_ID')
  return {
    ...proxies,
    PATH: envOf(rootfs.config, 'PATH') ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/home/cnb',
    ...(stackId !== undefined && { CNB_STACK_ID: stackId }),
    CNB_PLATFORM_API: platformApi,
    BALE_LOG_FORMAT: 'jsonl',
  }
}
