import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BaleError, type PhaseName, exitStatus, isErrno } from '../errors.ts'
import { failureEvent, formatEvent } from '../event-stream.ts'
import type { Reporter } from '../events.ts'
import { build } from '../phases/build.ts'
import { BuildpacksDir } from '../phases/buildpacks-dir.ts'
import { detect } from '../phases/detect.ts'
import { readPlatformEnvDir } from '../phases/env-dir.ts'
import { parseAnalyzed } from '../spec/analyzed.ts'
import { type PlatformFeatures, requirePlatformApi } from '../spec/api.ts'
import { inheritedEnv } from '../spec/env.ts'
import { execEnvOf } from '../spec/exec-env.ts'
import { formatGroup, parseGroup } from '../spec/group.ts'
import { parseOrder } from '../spec/order.ts'
import { formatResolvedPlan, parseResolvedPlan } from '../spec/plan.ts'
import type { Target } from '../spec/types.ts'
import { lifecycleVersion } from '../version.ts'
import { type FlagSpec, parseFlags } from './flags.ts'
import { plainReporter } from './render/plain.ts'

// The phase binaries: each is a phase's function wrapped in "read TOML, call it, write TOML, exit code".

const shared = {
  layers: { env: 'CNB_LAYERS_DIR', fallback: '/layers' },
  'log-level': { env: 'CNB_LOG_LEVEL', fallback: 'info' },
  'no-color': { env: 'CNB_NO_COLOR', boolean: true },
  version: { boolean: true },
} satisfies Record<string, FlagSpec>

const buildInputs = {
  ...shared,
  analyzed: { env: 'CNB_ANALYZED_PATH' },
  app: { env: 'CNB_APP_DIR', fallback: '/workspace' },
  'build-config': { env: 'CNB_BUILD_CONFIG_DIR', fallback: '/cnb/build-config' },
  buildpacks: { env: 'CNB_BUILDPACKS_DIR', fallback: '/cnb/buildpacks' },
  group: { env: 'CNB_GROUP_PATH' },
  plan: { env: 'CNB_PLAN_PATH' },
  platform: { env: 'CNB_PLATFORM_DIR', fallback: '/platform' },
} satisfies Record<string, FlagSpec>

const detectInputs = {
  ...buildInputs,
  order: { env: 'CNB_ORDER_PATH' },
  run: { env: 'CNB_RUN_PATH' },
} satisfies Record<string, FlagSpec>

interface Context {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly features: PlatformFeatures
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

const binaries: Record<string, { phase: PhaseName; run(context: Context): Promise<void> }> = {
  detector: { phase: 'detect', run: runDetector },
  builder: { phase: 'build', run: runBuilder },
}

async function runDetector({ argv, env, reporter, signal }: Context): Promise<void> {
  const flags = parseFlags(detectInputs, argv, env)
  if (flags.get('version') === 'true') return printVersion(reporter)
  const common = await readCommon(flags.get, env)
  const order = flags.get('order') ?? (await firstExisting(join(common.layersDir, 'order.toml'), '/cnb/order.toml'))
  const { group, plan } = await detect(
    {
      ...common,
      order: parseOrder(await readInput(order), order),
      reporter,
    },
    signal,
  )
  await writeOutput(flags.get('group') ?? join(common.layersDir, 'group.toml'), formatGroup(group))
  await writeOutput(flags.get('plan') ?? join(common.layersDir, 'plan.toml'), formatResolvedPlan(plan))
}

async function runBuilder({ argv, env, features, reporter, signal }: Context): Promise<void> {
  const flags = parseFlags(buildInputs, argv, env)
  if (flags.get('version') === 'true') return printVersion(reporter)
  const common = await readCommon(flags.get, env)
  const groupFile = flags.get('group') ?? join(common.layersDir, 'group.toml')
  const planFile = flags.get('plan') ?? join(common.layersDir, 'plan.toml')
  const group = parseGroup(await readInput(groupFile), groupFile)
  const plan = parseResolvedPlan(await readInput(planFile), planFile)
  await build({ ...common, group, plan, features, reporter }, signal)
}

type Get = (name: keyof typeof buildInputs) => string | undefined

/** What detector and builder read alike. */
async function readCommon(get: Get, env: Context['env']) {
  const layersDir = get('layers') as string
  const platformDir = get('platform') as string
  const buildConfigDir = get('build-config') as string
  const analyzed = get('analyzed') ?? join(layersDir, 'analyzed.toml')
  return {
    layersDir,
    appDir: get('app') as string,
    platformDir,
    buildpacks: new BuildpacksDir(get('buildpacks') as string),
    target: await readTarget(analyzed),
    execEnv: execEnvOf(env['CNB_EXEC_ENV']),
    env: {
      inherited: inheritedEnv(env),
      user: await readPlatformEnvDir(join(platformDir, 'env')),
      operator: await readPlatformEnvDir(join(buildConfigDir, 'env')),
    },
  }
}

async function readTarget(analyzed: string): Promise<Target> {
  const { runImage } = parseAnalyzed(await readInput(analyzed), analyzed)
  if (runImage?.target !== undefined) return runImage.target
  return { os: 'linux', arch: process.arch === 'x64' ? 'amd64' : process.arch }
}

async function readInput(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: unknown) => {
    throw new BaleError('failed', `cannot read ${path}: ${(cause as Error).message}`, { where: path, cause })
  })
}

async function writeOutput(path: string, content: string): Promise<void> {
  await writeFile(path, content).catch((cause: unknown) => {
    throw new BaleError('filesystem', `cannot write ${path}: ${(cause as Error).message}`, { where: path, cause })
  })
}

async function firstExisting(preferred: string, fallback: string): Promise<string> {
  try {
    await readFile(preferred)
    return preferred
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return fallback
    throw error
  }
}

function printVersion(reporter: Reporter): void {
  reporter.event({ type: 'note', level: 'info', text: lifecycleVersion })
}

/** For a host that shows the build to somebody: events instead of text. */
const jsonLines: Reporter = {
  event: event => void process.stdout.write(`${formatEvent(event)}\n`),
  async close() {},
}

/** Runs the phase that argv names, by the program's own name or as its first argument; returns the exit status. */
export async function main(argv: readonly string[], env: Context['env']): Promise<number> {
  const name = basename(argv[0] ?? '')
  const binary = binaries[name]
  const asEvents = env['BALE_LOG_FORMAT'] === 'jsonl'
  const reporter = asEvents
    ? jsonLines
    : plainReporter({ write: text => process.stdout.write(text), verbose: env['CNB_LOG_LEVEL'] === 'debug' })
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => abort.abort(new BaleError('cancelled', `stopped by ${signal}`)))
  try {
    if (binary === undefined)
      throw new BaleError('usage', `there is no phase ${JSON.stringify(name)}`, {
        fix: `use one of: ${Object.keys(binaries).join(', ')}`,
      })
    const features = requirePlatformApi(env['CNB_PLATFORM_API'])
    await binary.run({ argv: argv.slice(1), env, features, reporter, signal: abort.signal })
    return 0
  } catch (error) {
    const failure = failureEvent(error)
    if (asEvents) process.stdout.write(`${formatEvent(failure)}\n`)
    else process.stderr.write(`ERROR: ${[failure.where, failure.message, failure.fix].filter(Boolean).join('; ')}\n`)
    return exitStatus(error, binary?.phase)
  } finally {
    await reporter.close()
  }
}

process.umask(0o022)
process.exitCode = await main(process.argv.slice(2), process.env)
