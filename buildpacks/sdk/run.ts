import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../lifecycle/errors.ts'
import { readToml, requiredText, table, tables, text, texts } from '../../lifecycle/spec/read.ts'
import { offersVariable } from '../../lifecycle/spec/offers.ts'
import { formatToml, parseToml } from '../../lifecycle/spec/toml.ts'
import type { Metadata, PlanRequire } from '../../lifecycle/spec/types.ts'
import { App } from './app.ts'
import type { BuildContext, Buildpack, BuildResult, Context } from './buildpack.ts'
import { makeRun, type Runner, spawnRunner } from './command.ts'
import { confine } from './confine.ts'
import { BuildpackError } from './errors.ts'
import { launchDocument } from './launch.ts'
import { digestOfFile } from './files.ts'
import { type LayerRoom, provideLayer } from './layer.ts'
import { Log, type Output } from './log.ts'
import { writeOffers } from './offers.ts'
import { OwnCommands } from './own-commands.ts'
import { noteFolders } from './version-files.ts'
import { planDocument } from './plan.ts'
import { isSet, readPlatformEnv, targetOf } from './platform.ts'
import { Seals } from './seal.ts'
import { declaredFormats, writeSbom } from './sbom/files.ts'

/** The status with which bin/detect says that the buildpack does not take part (buildpack.md, "Detection"). */
const notDetected = 100

export interface Invocation {
  /** `detect` or `build`. */
  readonly phase: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly output: Output
  /** Starts the programs that the buildpack runs. */
  readonly runner: Runner
}

/** The invocation that this process is. */
export function invocationOf(process: NodeJS.Process): Invocation {
  return {
    phase: process.argv[2],
    env: process.env,
    cwd: process.cwd(),
    output: { stdout: text => void process.stdout.write(text), stderr: text => void process.stderr.write(text) },
    runner: confine(spawnRunner),
  }
}

/**
 * Runs one phase of a buildpack, from its inputs to its outputs, and returns the exit status. A buildpack's main.ts is
 *
 *     void runBuildpack(ruby, invocationOf(process)).then(status => (process.exitCode = status))
 */
export async function runBuildpack(buildpack: Buildpack, invocation: Invocation): Promise<number> {
  const log = new Log(invocation.output)
  try {
    const seals = new Seals()
    const context = await readContext({ ...invocation, runner: seals.watch(invocation.runner) }, log)
    if (invocation.phase === 'detect') return await detect(buildpack, context, invocation)
    if (invocation.phase === 'build') return await build(buildpack, context, invocation, seals)
    throw new BuildpackError(`${invocation.phase ?? 'nothing'} is not detect or build`)
  } catch (error) {
    report(error, log)
    return 1
  }
}

function report(error: unknown, log: Log): void {
  if (error instanceof BaleError) {
    log.error(error.where === undefined ? error.message : `${error.where}: ${error.message}`, error.fix)
  } else if (isErrno(error)) {
    log.error(error.message, isErrno(error, 'ENOSPC', 'EDQUOT') ? 'free some space on the disk' : undefined)
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.error(text, 'This is a bug in the buildpack.')
  }
}

async function readContext({ env, cwd, runner }: Invocation, log: Log): Promise<Context> {
  const platformDir = required(env, 'CNB_PLATFORM_DIR')
  const dir = required(env, 'CNB_BUILDPACK_DIR')
  const descriptor = readToml(await readFile(join(dir, 'buildpack.toml')), 'buildpack.toml')
  const about = table(descriptor, 'buildpack') ?? descriptor
  const inherited = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  // The lifecycle has put the user's variables into the environment, unless the buildpack has `clear-env`; bin/build may have removed
  // some. Variables such as PATH combine the user's values and others: the inherited value wins.
  const whole = { ...(await readPlatformEnv(platformDir)), ...Object.fromEntries(inherited) }
  return {
    app: new App(cwd),
    buildpack: {
      id: requiredText(about, 'id'),
      version: requiredText(about, 'version'),
      dir,
      sbomFormats: texts(about, 'sbom-formats'),
    },
    platformDir,
    env: whole,
    target: targetOf(whole),
    execEnv: whole['CNB_EXEC_ENV'] ?? 'production',
    log,
    run: makeRun(runner, log, { cwd, env: whole }),
  }
}

function required(env: Invocation['env'], name: string): string {
  const value = env[name]
  if (value === undefined || value === '') {
    throw new BuildpackError(`${name} is not set`, {
      fix: 'a buildpack is run by a lifecycle: bale build --buildpack DIR',
    })
  }
  return value
}

async function detect(buildpack: Buildpack, context: Context, { env }: Invocation): Promise<number> {
  const planPath = required(env, 'CNB_BUILD_PLAN_PATH')
  if (isSet(context.env, offersVariable)) {
    await writeOffers(buildpack, context, planPath)
    return 0
  }
  const result = await buildpack.detect(context)
  context.log.heading(result.reason)
  if (!result.pass) return notDetected
  if (result.plan) await writeFile(planPath, formatToml(planDocument(result.plan.sections)))
  return 0
}

async function build(buildpack: Buildpack, context: Context, { env }: Invocation, seals: Seals): Promise<number> {
  const layersDir = required(env, 'CNB_LAYERS_DIR')
  const sbom = isSet(context.env, 'BP_DISABLE_SBOM') ? [] : declaredFormats(context.buildpack.sbomFormats)
  const { buildpack: about, log } = context
  const plan = await readPlan(required(env, 'CNB_BP_PLAN_PATH'))
  const isServer = plan.length === 0 || plan.some(({ metadata }) => metadata['launch'] !== false)
  const own = new OwnCommands(context, isServer)
  const program = await digestOfProgram(about.dir)
  const room: LayerRoom = { dir: layersDir, buildpack: about, program, sbom, log, seals }
  const buildContext: BuildContext = {
    ...context,
    run: own.watch(context.run),
    ownCommand: step => own.find(step),
    plan,
    store: await readStore(layersDir),
    layer: async (name, definition) => provideLayer(room, name, await own.layerOf(definition)),
    seal: ({ name, path }) => seals.add(name, path, { launch: false, build: false, cache: true }),
  }
  // The language that needs a file reports an unreadable one.
  if (buildpack.ownCommands !== undefined) await noteFolders(context.app, log).catch(() => undefined)
  const result = await buildpack.build(buildContext)
  if (buildpack.ownCommands !== undefined) await own.finish(context.run, layersDir, buildpack.ownCommands === 'after')
  await seals.check(context.log)
  await writeResult(room, result)
  return 0
}

/** The digest of the bundle that `bin/main` starts; undefined for a buildpack that is not bundled. */
async function digestOfProgram(dir: string): Promise<string | undefined> {
  return digestOfFile(join(dir, 'main.cjs')).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  })
}

async function writeResult({ dir, buildpack, sbom }: LayerRoom, result: BuildResult): Promise<void> {
  const { launch, store, unmet = [] } = result
  const documents: Record<string, Metadata | undefined> = {
    'launch.toml': launch && launchDocument(launch),
    'store.toml': store && { metadata: store },
    'build.toml': unmet.length > 0 ? { unmet: unmet.map(name => ({ name })) } : undefined,
  }
  for (const [name, document] of Object.entries(documents)) {
    if (document !== undefined) await writeFile(join(dir, name), formatToml(document))
  }
  if (result.sbom) await writeSbom(join(dir, 'launch'), sbom, { name: buildpack.id, tool: buildpack }, result.sbom)
}

/** buildpack.md, "Buildpack Plan": entries with a name and metadata. */
async function readPlan(path: string): Promise<PlanRequire[]> {
  const document = readToml(await readFile(path), path)
  return tables(document, 'entries').map(entry => ({
    name: text(entry, 'name') ?? '',
    metadata: table(entry, 'metadata')?.table ?? {},
  }))
}

async function readStore(layersDir: string): Promise<Metadata> {
  const path = join(layersDir, 'store.toml')
  try {
    const { metadata } = parseToml(await readFile(path), path)
    return typeof metadata === 'object' && metadata !== null ? (metadata as Metadata) : {}
  } catch (error) {
    // An earlier build may have written anything.
    if (isErrno(error, 'ENOENT') || error instanceof BaleError) return {}
    throw error
  }
}
