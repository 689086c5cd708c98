import { mkdtemp, readdir, rm, writeFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { settleAll } from '../concurrency.ts'
import { BaleError } from '../errors.ts'
import type { DetectResult, Reporter } from '../events.ts'
import { checkGroupIds } from '../spec/ids.ts'
import { parseBuildPlan } from '../spec/plan.ts'
import { resolveOrder } from '../spec/resolve-order.ts'
import { resolvePlan } from '../spec/resolve-plan.ts'
import { describeTarget, matchesTarget } from '../spec/target.ts'
import type {
  BuildPlan,
  BuildpackDescriptor,
  Group,
  GroupElement,
  Order,
  OrderElement,
  ResolvedPlan,
  Target,
} from '../spec/types.ts'
import { type EnvSources, environmentOf } from './buildpack-environment.ts'
import { type Buildpack, type BuildpacksDir, executableOf, optionalExecutableOf } from './buildpacks-dir.ts'
import { readTrusted, readUntrusted } from '../files/read.ts'
import { keepEnvironment } from './kept-environment.ts'
import { runExecutable } from './run-executable.ts'
import { type Supervision, findSupervisor, supervisionOf } from './supervision.ts'

export interface DetectInput {
  readonly appDir: string
  readonly platformDir: string
  readonly order: Order
  /** The result of `loadDescriptors` for the order, if the caller has it already. */
  readonly descriptors?: ReadonlyMap<string, BuildpackDescriptor>
  readonly buildpacks: BuildpacksDir
  /** Where the image extensions of the order are, if it has any. */
  readonly extensions?: BuildpacksDir
  /** Where Dockerfiles of extensions will be. */
  readonly generatedDir?: string
  readonly target: Target
  readonly execEnv: string
  readonly env: EnvSources
  readonly reporter: Reporter
  /** The file that gets the environment of a bin/detect that ends with an error, for a shell. */
  readonly keptEnvironment?: string | undefined
  /** No bin/detect may write here. */
  readonly layersDir: string
  /** distribution/supervisor: isolates each bin/detect, and ends the processes that it leaves behind. */
  readonly supervisor?: string | undefined
}

type DetectRun = DetectInput & { readonly supervision: Supervision | undefined }

export interface Detected {
  readonly group: Group
  readonly plan: ResolvedPlan
  readonly results: readonly DetectResult[]
}

/** The result of one bin/detect, run or ruled out. It has a plan if and only if it passed. */
interface Outcome {
  readonly result: DetectResult
  readonly element: GroupElement
  readonly plan?: BuildPlan
  readonly isExtension: boolean
}

/** A buildpack, or an image extension, of a group to try. */
interface Member extends OrderElement {
  readonly isExtension: boolean
}

/**
 * Finds the first group of the order that passes (buildpack.md, "Phase #1: Detection"). Runs the members of a group in
 * parallel, and each member only once, even if it is in several groups.
 * @throws BaleError 'nothing-detected' or 'detect-errored' when no group passes
 */
export async function detect(input: DetectInput, signal?: AbortSignal): Promise<Detected> {
  await requireAppDirectory(input.appDir)
  const descriptors = input.descriptors ?? (await loadDescriptors(input.order, input.buildpacks))
  const find = (id: string, version: string): BuildpackDescriptor =>
    descriptors.get(`${id}@${version}`) as BuildpackDescriptor
  const runs = new Map<string, Promise<Outcome>>()
  const outcomes = new Map<string, Outcome>()
  const reasons: string[] = []
  const supervisor = input.supervisor && (await findSupervisor(input.supervisor, input.reporter))
  const supervision = supervisionOf(
    { ...input, extensionsDir: input.extensions?.dir },
    supervisor,
    input.env.inherited['HOME'],
  )
  const scratch = await mkdtemp(join(tmpdir(), 'bale-detect-'))
  try {
    for (const { extensions, buildpacks } of resolveOrder(input.order, find, input.execEnv)) {
      const members = [
        ...firstOfEachId(extensions).map((e): Member => ({ ...e, optional: true, isExtension: true })),
        ...firstOfEachId(buildpacks).map((e): Member => ({ ...e, isExtension: false })),
      ]
      const group = await settleAll(
        members.map(async member => {
          const key = `${member.isExtension ? 'extension ' : ''}${member.id}@${member.version}`
          const run =
            runs.get(key) ?? detectOne(member, { ...input, supervision }, join(scratch, String(runs.size)), signal)
          runs.set(key, run)
          const outcome = await run
          outcomes.set(key, outcome)
          return { ...outcome, element: { ...outcome.element, optional: member.optional }, optional: member.optional }
        }),
      )
      const verdict = judge(group)
      const results = inOrderOf(runs, outcomes)
      if (verdict.passed) {
        const { buildpacks: used, extensions: extending } = verdict.group
        checkGroupIds(used)
        checkGroupIds(extending)
        input.reporter.event({ type: 'detected', results, group: [...used], extensions: [...extending] })
        warnOfErrors(group, input.reporter)
        return { group: verdict.group, plan: verdict.plan, results }
      }
      reasons.push(...verdict.reasons)
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const results = inOrderOf(runs, outcomes)
  input.reporter.event({ type: 'detected', results, group: [], extensions: [] })
  throw noGroup(results, [...reasons, await topLevel(input.appDir)])
}

/** Extensions are optional, but an error differs from a failed detection: the image may lack what the extension would provide. */
function warnOfErrors(group: readonly Outcome[], reporter: Reporter): void {
  for (const { result } of group.filter(({ isExtension }) => isExtension)) {
    if (result.status === 'errored')
      reporter.event({ type: 'warning', text: `the image extension ${result.id} is ignored: ${explain(result)}` })
  }
}

/** Returns the results in the order of order.toml, not in the order of completion. */
function inOrderOf(runs: ReadonlyMap<string, unknown>, outcomes: ReadonlyMap<string, Outcome>): DetectResult[] {
  return [...runs.keys()].flatMap(key => outcomes.get(key)?.result ?? [])
}

/** Fails early if the app directory is missing. @throws BaleError 'detect-errored' */
async function requireAppDirectory(dir: string): Promise<void> {
  if ((await stat(dir).catch(() => undefined))?.isDirectory() === true) return
  throw new BaleError('detect-errored', 'the app directory does not exist', {
    where: dir,
    fix: 'mount it, or give -app',
  })
}

/**
 * Reads every descriptor that the order can reach, composite ones included, so that resolving the order needs no further
 * input.
 * @throws BaleError 'input' for a buildpack that does not exist
 */
export async function loadDescriptors(
  order: Order,
  buildpacks: BuildpacksDir,
): Promise<Map<string, BuildpackDescriptor>> {
  const found = new Map<string, BuildpackDescriptor>()
  // Marked before the first await: a few composites that name each other twice would be read billions of times.
  const begun = new Set<string>()
  const load = async (element: OrderElement): Promise<void> => {
    const key = `${element.id}@${element.version}`
    if (begun.has(key)) return
    begun.add(key)
    const { descriptor } = await buildpacks.find(element.id, element.version)
    found.set(key, descriptor)
    await Promise.all((descriptor.order ?? []).flat().map(load))
  }
  await Promise.all(order.groups.flat().map(load))
  return found
}

/** A repeated id in a group is skipped, as platforms expect. */
function firstOfEachId(members: readonly OrderElement[]): OrderElement[] {
  const seen = new Set<string>()
  return members.filter(m => !seen.has(m.id) && seen.add(m.id))
}

async function detectOne(member: Member, input: DetectRun, planFile: string, signal?: AbortSignal): Promise<Outcome> {
  const { isExtension } = member
  const from = isExtension ? (input.extensions as BuildpacksDir) : input.buildpacks
  const buildpack = await from.find(member.id, member.version)
  const { descriptor } = buildpack
  const element: GroupElement = {
    id: descriptor.id,
    version: descriptor.version,
    api: descriptor.api,
    homepage: descriptor.homepage,
  }
  const base = {
    id: descriptor.id,
    version: descriptor.version,
    optional: member.optional,
    ...(isExtension && { extension: true }),
  }
  // A required buildpack for other targets counts as an error. An optional one runs anyway.
  if (buildpack.features.targets && !member.optional && !matchesTarget(descriptor, input.target)) {
    return {
      element,
      isExtension,
      result: { ...base, status: 'errored', output: `it does not support ${describeTarget(input.target)}` },
    }
  }
  const output: string[] = []
  let bytes = 0
  const onLine = (_stream: string, line: string): void => {
    bytes += line.length
    if (bytes < maxOutput) output.push(line)
  }
  const exitCode = await runDetect(buildpack, input, planFile, onLine, signal)
  const status = exitCode === 0 ? 'passed' : exitCode === 100 ? 'failed' : 'errored'
  const result: DetectResult = { ...base, status, exitCode, output: output.join('\n') }
  if (status !== 'passed') return { element, result, isExtension }
  const plan = parseBuildPlan((await readUntrusted(planFile)) ?? '', `build plan of ${member.id}@${member.version}`)
  if (isExtension && plan.some(({ requires }) => requires.length > 0)) {
    const said =
      'its build plan has requires, which is not allowed for an image extension (image_extension.md, "Detection")'
    return { element, isExtension, result: { ...result, status: 'errored', output: said } }
  }
  return { element, result, plan, isExtension }
}

/** The most characters of output to keep of each bin/detect. */
const maxOutput = 32 * 1024

/**
 * Runs bin/detect with the inputs of buildpack.md, "Detection"; also passes positional arguments, which older buildpacks
 * use.
 */
async function runDetect(
  buildpack: Buildpack,
  input: DetectRun,
  planFile: string,
  onLine: (stream: 'stdout' | 'stderr', line: string) => void,
  signal?: AbortSignal,
): Promise<number> {
  const { features, dir, kind } = buildpack
  const file =
    kind === 'buildpack' ? await executableOf(buildpack, 'detect') : await optionalExecutableOf(buildpack, 'detect')
  if (file === undefined) {
    // An extension without bin/detect passes, with the plan that it brings (image_extension.md, "Detection").
    await writeFile(planFile, (await readTrusted(join(dir, 'detect/plan.toml'))) ?? '')
    return 0
  }
  await writeFile(planFile, '')
  const inputs = { CNB_PLATFORM_DIR: input.platformDir, CNB_BUILD_PLAN_PATH: planFile }
  const env = environmentOf(buildpack, input, features.envInputs ? inputs : {})
  const args = [input.platformDir, planFile]
  const exitCode = await runExecutable(
    { file, args, env, workingDir: input.appDir, supervision: input.supervision, onLine },
    signal,
  )
  if (exitCode !== 0 && exitCode !== 100) await keepEnvironment(input.keptEnvironment, env)
  return exitCode
}

type Verdict = { passed: true; group: Group; plan: ResolvedPlan } | { passed: false; reasons: readonly string[] }

/** Decides whether a group passes: every required member passed, at least one buildpack passed, and the build plan resolves. */
function judge(group: readonly (Outcome & { optional: boolean })[]): Verdict {
  const failed = group.filter(m => m.plan === undefined && !m.optional)
  const passed = group.flatMap(({ element, plan, isExtension }) =>
    plan === undefined ? [] : [{ element, plan, isExtension }],
  )
  if (failed.length > 0 || passed.every(m => m.isExtension)) return { passed: false, reasons: [] }
  const resolved = resolvePlan(passed)
  return resolved.ok
    ? { passed: true, group: resolved.group, plan: resolved.plan }
    : { passed: false, reasons: resolved.reasons }
}

/** Lists the top level of the source, since the most common mistake is a wrong directory. */
async function topLevel(appDir: string): Promise<string> {
  const entries = await readdir(appDir, { withFileTypes: true })
  const names = entries.map(e => (e.isDirectory() ? `${e.name}/` : e.name)).sort()
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : ''
  return names.length === 0
    ? 'the source directory is empty'
    : `the source directory holds: ${names.slice(0, shownNames).join(', ')}${more}`
}

const shownNames = 20

function noGroup(results: readonly DetectResult[], reasons: readonly string[]): BaleError {
  const errored = results.filter(r => r.status === 'errored')
  // A buildpack that fails detection without a message adds nothing to the error.
  const spoken = results.filter(r => r.status !== 'failed' || r.output.trim() !== '')
  const lines = (spoken.length > 0 ? spoken : results).map(r => `  ${r.id}@${r.version}: ${explain(r)}`)
  const message = ['no group of buildpacks fits this source', ...lines, ...reasons.map(r => `  ${r}`)].join('\n')
  if (errored.length === 0) return new BaleError('nothing-detected', message)
  const names = errored.map(r => `${r.id}@${r.version}`).join(', ')
  return new BaleError('detect-errored', message, {
    fix: `see the output of ${names}: these buildpacks failed, rather than not fitting`,
  })
}

function explain(result: DetectResult): string {
  const said = result.output.trim().split('\n').filter(Boolean).at(-1)
  if (result.status === 'passed') return 'passed'
  if (result.status === 'failed') return said ?? 'it did not say why'
  return `error${result.exitCode === undefined ? '' : ` (exit status ${result.exitCode})`}: ${said ?? 'it printed nothing'}`
}
