import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { runPhaseProcess } from '../../platform/phase-process.ts'
import { findAccount } from '../../engines/accounts.ts'
import { unsandboxedEngine } from '../../engines/unsandboxed.ts'
import { BaleError, type PhaseName, inPhase } from '../../errors.ts'
import { restore } from '../../phases/restore.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { type Access, checkAccess, describe, restorePreviousSboms } from './analyzer.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { exportApp, openImages } from './exporter.ts'
import { writeOutput } from './files.ts'
import { type FlagName, flags, presentOf } from './flags.ts'
import { readGroup } from './group.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { cnbUser, giveTree } from './ownership.ts'

/**
 * platform.md, "creator": all phases in one, analysis before detection as platforms know it. This process has the
 * credentials and runs no buildpack: detect and build are processes of their own, as the user that buildpacks run as, and
 * of our environment they have what a buildpack may see.
 */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, io } = context
  if (io.user.uid === 0 && !inputs.number('uid'))
    throw new BaleError('failed', 'refusing to run buildpacks as root', {
      where: '-uid',
      fix: 'give the user and group of the build image: -uid and -gid, or CNB_USER_ID and CNB_GROUP_ID',
    })
  const images = context.resources.use(new Images(context))
  const names = checkedNames([...onlyImage(inputs), ...inputs.list('tag')], images, 'creator')
  const found = await checkAccess(context, images, names)
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'cache-dir', 'launch-cache')],
    images,
    run: () => create(context, images, names, found),
  }
}

async function create(context: PhaseContext, images: Images, names: readonly string[], found: Access): Promise<void> {
  const { inputs, features, log, signal } = context
  const layers = inputs.path('layers')
  // The first one has a flag here, and both have a twin.
  const skipLayers = inputs.flag('skip-restore') || inputs.flag('skip-layers')
  const phase = <T>(name: PhaseName, run: () => Promise<T>): Promise<T> => {
    log.event({ type: 'phase-started', phase: name })
    return inPhase(name, run)
  }
  const analyzed = await phase('analyze', async () => {
    const described = describe(context, images, found)
    await restorePreviousSboms(context, found.previous.found, skipLayers)
    await writeOutput(inputs.path('analyzed'), formatAnalyzed(described))
    return described
  })
  await handOver(context)
  await phase('detect', () => runBuildpacks('detect', context))
  const group = await readGroup(context)
  const cache = await images.cache()
  const { metadata } = analyzed
  await phase('restore', () =>
    restore(
      {
        ...{ layersDir: { host: layers, image: layers }, group, skipLayers, features, reporter: log },
        ...(metadata && { previous: { metadata } }),
        ...(cache && { cache }),
      },
      signal,
    ),
  )
  await handOver(context)
  await phase('build', () => runBuildpacks('build', context))
  await phase('export', async () => {
    const parts = await openImages(context, images, analyzed)
    await exportApp(context, images, { names, group, ...parts, ...(cache && { cache }) })
  })
}

/** What this process, as root, has put into the layers directory becomes the buildpacks'. None of them runs meanwhile. */
async function handOver(context: PhaseContext): Promise<void> {
  if (context.io.user.uid === 0) await giveTree(context.inputs.path('layers'), cnbUser(context))
}

/** Runs detector or builder, in a process that has no secret of ours. */
async function runBuildpacks(phase: 'detect' | 'build', context: PhaseContext): Promise<void> {
  const { inputs, io, log, signal } = context
  const user = cnbUser(context)
  const engine = unsandboxedEngine({ tmpDir: tmpdir() })
  await engine.check(signal)
  const run = {
    argv: io.program(phase === 'detect' ? 'detector' : 'builder'),
    env: await buildpackEnv(context, user.uid),
    workingDir: inputs.path('app'),
    mounts: [],
    network: 'host' as const,
    user,
  }
  await runPhaseProcess(phase, engine, run, log, signal)
}

/** What detector and builder find files by, besides the variables that buildpacks may see. */
const passedOn = [
  ...(['layers', 'app', 'platform', 'build-config', 'buildpacks', 'order', 'system', 'run'] as const),
  ...(['analyzed', 'group', 'plan', 'extensions', 'generated'] as const),
] as const satisfies readonly FlagName[]
const modes = ['CNB_PLATFORM_API', 'CNB_EXEC_ENV', 'CNB_DEPRECATION_MODE', 'CNB_EXPERIMENTAL_MODE', 'BALE_LOG_FORMAT']

async function buildpackEnv({ inputs, env, io }: PhaseContext, uid: number): Promise<Record<string, string>> {
  // Absolute: the process runs in the directory of the app.
  const paths = passedOn.map(name => [flags[name].env, inputs.text(name) && inputs.path(name)] as const)
  const asked = [...modes.map(name => [name, env[name]] as const), ['CNB_LOG_LEVEL', inputs.text('log-level')] as const]
  const found = [...paths, ...asked].filter((e): e is [string, string] => e[1] !== undefined && e[1] !== '')
  const own = await ownHome(io.user.uid, uid)
  return { ...inheritedEnv(env), ...Object.fromEntries(found), ...own, BALE_LOG_FORMAT: 'jsonl' }
}

/** The home of another user than ours; buildpacks of one that has none get a directory that everybody can write to. */
async function ownHome(ours: number, uid: number): Promise<Record<string, string>> {
  if (ours === uid) return {}
  const { home } = await findAccount('/', String(uid))
  const isThere = await access(home).then(
    () => home !== '/',
    () => false,
  )
  return { HOME: isThere ? home : tmpdir() }
}
