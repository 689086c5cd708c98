import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, Mount } from '../engines/engine.ts'
import type { Reporter } from '../events.ts'
import { type ImageConfig, envOf } from '../image/config.ts'
import { escapeId } from '../spec/ids.ts'
import type { Builder } from './builder.ts'
import type { Distribution } from './distribution.ts'
import { runPhaseProcess } from './phase-process.ts'
import type { Workspace } from './workspace.ts'

/** What detect and build see of a build, and how they are run. */
export interface PhaseSandbox {
  readonly engine: Engine
  readonly workspace: Workspace
  readonly builder: Builder
  readonly distribution: Distribution
  readonly buildConfig: ImageConfig
  readonly user: { readonly uid: number; readonly gid: number }
  readonly network: 'none' | 'host'
  /** Proxy variables; everything else of the environment stays outside. */
  readonly proxies: Readonly<Record<string, string>>
  readonly reporter: Reporter
}

export const paths = {
  layers: '/layers',
  app: '/workspace',
  platform: '/platform',
  buildpacks: '/cnb/buildpacks',
} as const
const node = '/cnb/lifecycle/node'
/** Runs the phase binary in the sandbox; it has ended, with every process it started, when this returns. */
export async function runPhase(phase: 'detect' | 'build', sandbox: PhaseSandbox, signal?: AbortSignal): Promise<void> {
  await prepareMountPoints(sandbox)
  const run = {
    argv: [node, '/cnb/lifecycle/phase.cjs', phase === 'detect' ? 'detector' : 'builder'],
    env: environment(sandbox),
    workingDir: paths.app,
    mounts: mounts(phase, sandbox),
    network: sandbox.network,
    user: sandbox.user,
  }
  await runPhaseProcess(phase, sandbox.engine, run, sandbox.reporter, signal)
}

/** The root file system is read-only: what is mounted below /cnb needs a place there first. */
async function prepareMountPoints({ workspace, builder }: PhaseSandbox): Promise<void> {
  await mkdir(join(workspace.cnb, 'lifecycle'), { recursive: true })
  await mkdir(join(workspace.cnb, 'build-config'), { recursive: true })
  for (const { descriptor } of builder.buildpacks) {
    await mkdir(join(workspace.cnb, 'buildpacks', escapeId(descriptor.id), descriptor.version), { recursive: true })
  }
  await writeFile(join(workspace.cnb, 'order.toml'), '', { flag: 'a' })
}

function mounts(phase: 'detect' | 'build', { workspace, builder, distribution }: PhaseSandbox): Mount[] {
  return [
    { hostPath: workspace.cnb, path: '/cnb', access: 'read-only' },
    { hostPath: distribution.lifecycleDir, path: '/cnb/lifecycle', access: 'read-only' },
    { hostPath: distribution.node, path: node, access: 'read-only' },
    ...builder.buildpacks.map(({ descriptor, dir }): Mount => {
      return {
        hostPath: dir,
        path: `${paths.buildpacks}/${escapeId(descriptor.id)}/${descriptor.version}`,
        access: 'read-only',
      }
    }),
    { hostPath: workspace.platform, path: paths.platform, access: 'read-only' },
    { hostPath: workspace.layers, path: paths.layers, access: 'read-write' },
    // buildpack.md, "Detection": the app directory is read-only there.
    { hostPath: workspace.app, path: paths.app, access: phase === 'detect' ? 'read-only' : 'read-write' },
  ]
}

function environment({ buildConfig, proxies }: PhaseSandbox): Record<string, string> {
  const stackId = envOf(buildConfig, 'CNB_STACK_ID')
  return {
    ...proxies,
    PATH: envOf(buildConfig, 'PATH') ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/home/cnb',
    ...(stackId !== undefined && { CNB_STACK_ID: stackId }),
    CNB_PLATFORM_API: '0.15',
    BALE_LOG_FORMAT: 'jsonl',
  }
}
