import { access, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { BuildCache } from '../../caches/build-cache.ts'
import { closable, writableBy, writableByUs } from '../../files/closable.ts'
import { landlockVersion, landlockVersions } from '../../processes/landlock.ts'
import { quote } from '../../spec/read.ts'
import { findAccount } from '../../engines/accounts.ts'
import { unsandboxedEngine } from '../../engines/unsandboxed.ts'
import { warnOfOrphans } from '../../phases/supervision.ts'
import { BaleError } from '../../errors.ts'
import type { GroupElement } from '../../spec/types.ts'
import type { Reporter } from '../../events.ts'
import { type PhaseRunner, engineRunner } from '../../phase-runner.ts'
import { runPipeline } from '../../pipeline.ts'
import type { ImageSettings } from '../../phases/export.ts'
import { proxiesOf, warnOfPasswords } from '../../phases/proxies.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { analyzeInput } from './analyzer.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { checkOutput, describeRunImage, imageSettings } from './exporter.ts'
import { writeOutput } from './files.ts'
import { type FlagName, flags, presentOf } from './flags.ts'
import { readGroup } from './group.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { cnbUser } from './ownership.ts'
import { giveTree } from '../../layers/tree/give.ts'
import { reportPublished } from './report.ts'

/**
 * platform.md, "creator": all phases in one, analysis before detection as platforms know it. This process holds the
 * credentials and runs no buildpack. Detect and build are separate processes, which run as the buildpacks' user and inherit
 * only the variables that a buildpack may see.
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
  const settings = await imageSettings(context)
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'cache-dir', 'launch-cache')],
    images,
    run: () => create(context, images, { names, settings }),
  }
}

async function create(
  context: PhaseContext,
  images: Images,
  { names, settings }: { readonly names: readonly [string, ...string[]]; readonly settings: ImageSettings },
): Promise<void> {
  const { inputs, features, signal, resources, log: reporter } = context
  const layers = inputs.path('layers')
  const app = inputs.path('app')
  // creator's flag is -skip-restore, but both names have an environment variable.
  const skipLayers = inputs.flag('skip-restore') || inputs.flag('skip-layers')
  const analysis = await analyzeInput(context, images, names)
  const [, ...others] = analysis.destinations
  const result = await runPipeline(
    {
      images: { ...analysis, describe: found => describeRunImage(context, images, found.name, found.image) },
      files: {
        layersDir: { host: layers, image: layers },
        appDir: { host: app, image: app },
        owner: cnbUser(context),
        writeAnalyzed: analyzed => writeOutput(inputs.path('analyzed'), formatAnalyzed(analyzed)),
        readGroup: () => readBuildpacks(context),
      },
      runner: containerRunner(context, reporter),
      cache: resources.use((await images.cache()) ?? new BuildCache({}, reporter)),
      reuse: { previous: true, layers: !skipLayers },
      ...(context.io.user.uid === 0 && { restoredOwner: cnbUser(context) }),
      settings,
      checkOutput: (output, image) =>
        checkOutput(context, { images, destinations: analysis.destinations }, output, image),
      features,
      reporter,
    },
    signal,
  )
  await reportPublished(context, images, result, { others, names })
}

/** platform.md, "creator": it does not perform image extension. */
async function readBuildpacks(context: PhaseContext): Promise<readonly GroupElement[]> {
  const { buildpacks, extensions } = await readGroup(context)
  if (extensions.length === 0) return buildpacks
  const names = extensions.map(({ id }) => id).join(', ')
  throw new BaleError('input', `creator does not extend images, which ${names} would`, {
    where: context.inputs.path('group'),
    fix: 'run analyzer, detector, restorer, extender and exporter, one after the other',
  })
}

/** Runs detector and builder in this container, as processes that hold no secret of this one. */
function containerRunner(context: PhaseContext, reporter: Reporter): PhaseRunner {
  const { inputs, io, env } = context
  const user = cnbUser(context)
  const engine = unsandboxedEngine({
    tmpDir: tmpdir(),
    supervisor: io.supervisor,
    pids: pidsFrom(context.env),
    // They belong to the buildpacks' user, where creator is that user or root has given them to it (X27).
    readOnly: closable(
      presentOf(inputs, 'cache-dir', 'launch-cache'),
      io.user.uid === user.uid ? writableByUs : writableBy(user),
    ),
  })
  return engineRunner(engine, reporter, async (phase, signal) => {
    await engine.check(signal)
    if (phase === 'detect') {
      warnOfPasswords(proxiesOf(inheritedEnv(env)), reporter)
      await warnOfSharedUser(context, user.uid)
      await warnOfOrphans(io.supervisor, reporter)
    }
    // Gives what this process, as root, has put into the layers directory to the buildpacks' user. No buildpack runs
    // meanwhile.
    if (io.user.uid === 0) await giveTree(inputs.path('layers'), user)
    return {
      argv: io.program(phase === 'detect' ? 'detector' : 'builder'),
      env: await buildpackEnv(context, user.uid),
      workingDir: inputs.path('app'),
      mounts: [],
      network: 'host',
      user,
    }
  })
}

/**
 * The kernel lets a user look into the memory of processes of theirs, except where the program's file cannot be read
 * (distribution/dispatcher): /proc/self is root's then. Landlock closes the processes outside of it to buildpacks. K19.
 */
async function warnOfSharedUser({ env, io, log }: PhaseContext, uid: number): Promise<void> {
  if (uid !== io.user.uid || !env['CNB_REGISTRY_AUTH']) return
  const environ = await stat('/proc/self/environ').catch(() => undefined)
  if (environ?.uid !== uid || (await landlockVersion(io.landlock)) >= landlockVersions.scopes) return
  const text = 'buildpacks run as the user of this process, who can read the registry credentials in its memory'
  log.event({
    type: 'warning',
    text,
    fix: 'start creator as root, use Linux 6.12 or newer, or a lifecycle whose files are root’s',
  })
}

/** BALE_PIDS: threads and processes that buildpacks may have at one time, where no --pids can be given. */
function pidsFrom(env: PhaseContext['env']): number | undefined {
  const text = env['BALE_PIDS']
  if (text === undefined || text === '') return undefined
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new BaleError('arguments', `BALE_PIDS is ${quote(text)}`, { fix: 'write a number from 1 to 9999999' })
}

/** The variables that name files for detector and builder, besides those that buildpacks may see. */
const passedOn = [
  ...(['layers', 'app', 'platform', 'build-config', 'buildpacks', 'order', 'system', 'run'] as const),
  ...(['analyzed', 'group', 'plan', 'extensions', 'generated'] as const),
] as const satisfies readonly FlagName[]
const modes = ['CNB_PLATFORM_API', 'CNB_EXEC_ENV', 'CNB_DEPRECATION_MODE', 'CNB_EXPERIMENTAL_MODE', 'BALE_LOG_FORMAT']

async function buildpackEnv({ inputs, env, io }: PhaseContext, uid: number): Promise<Record<string, string>> {
  // Absolute, since the process runs in the directory of the app.
  const paths = passedOn.map(name => [flags[name].env, inputs.text(name) && inputs.path(name)] as const)
  const asked = [...modes.map(name => [name, env[name]] as const), ['CNB_LOG_LEVEL', inputs.text('log-level')] as const]
  const found = [...paths, ...asked].filter((e): e is [string, string] => e[1] !== undefined && e[1] !== '')
  const own = await ownHome(io.user.uid, uid)
  return { ...inheritedEnv(env), ...Object.fromEntries(found), ...own, BALE_LOG_FORMAT: 'jsonl' }
}

/** Returns the home of another user. A user without one gets a directory that everybody can write to. */
async function ownHome(ours: number, uid: number): Promise<Record<string, string>> {
  if (ours === uid) return {}
  const { home } = await findAccount('/', String(uid))
  const isThere = await access(home).then(
    () => home !== '/',
    () => false,
  )
  return { HOME: isThere ? home : tmpdir() }
}
