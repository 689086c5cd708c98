import { BaleError } from '../errors.ts'
import { plain } from './read.ts'
import type {
  BuildPlan,
  Group,
  GroupElement,
  PlanEntry,
  PlanProvider,
  PlanRequire,
  PlanSections,
  ResolvedPlan,
} from './types.ts'

/** The maximum of provided and required names to examine: each `or` multiplies the trials. */
const maxWork = 10_000_000
const maxReasons = 20

export type PlanResolution =
  | { readonly ok: true; readonly group: Group; readonly plan: ResolvedPlan }
  | { readonly ok: false; readonly reasons: readonly string[] }

/** A buildpack that passed detection, or an image extension, which is always optional. */
export interface PlanMember {
  readonly element: GroupElement
  readonly plan: BuildPlan
  readonly isExtension?: boolean
}

/** A member of the group with the alternative that a trial picked from its plan. */
interface Choice extends Omit<PlanMember, 'plan'> {
  readonly sections: PlanSections
}

/**
 * Returns the first trial that resolves (buildpack.md, "Phase #1: Detection"). Each trial picks one alternative of each
 * buildpack's plan, left to right; the last buildpack's alternatives vary fastest. The group comes without the optional
 * buildpacks that the plan excluded. `reasons` explains for each failed trial what was missing.
 * @param members in the group's order: extensions, then buildpacks
 * @throws BaleError 'input' when there are too many combinations of alternatives
 */
export function resolvePlan(members: readonly PlanMember[]): PlanResolution {
  const reasons = new Set<string>()
  let work = 0
  for (const choices of trials(members)) {
    work += choices.reduce((sum, c) => sum + 1 + c.sections.provides.length + c.sections.requires.length, 0)
    if (work > maxWork) throw tooMuch(members)
    const trial = runTrial(choices)
    if ('kept' in trial) return { ok: true, group: groupOf(trial.kept), plan: trial.plan }
    for (const reason of trial.reasons) if (reasons.size < maxReasons) reasons.add(reason)
  }
  return { ok: false, reasons: [...reasons] }
}

function tooMuch(members: readonly PlanMember[]): BaleError {
  const most = members.reduce((a, b) => (b.plan.length > a.plan.length ? b : a))
  return new BaleError('input', 'the alternatives in the build plans have too many combinations', {
    where: `the build plan of ${most.element.id}, with ${most.plan.length} alternatives`,
    fix: 'write fewer [[or]] tables',
  })
}

function* trials(members: readonly PlanMember[]): Generator<Choice[]> {
  const picked = members.map(() => 0)
  for (;;) {
    yield members.map(({ plan, ...member }, i) => ({
      ...member,
      sections: plan[picked[i] as number] ?? { provides: [], requires: [] },
    }))
    let last = members.length - 1
    while (last >= 0 && (picked[last] as number) + 1 >= (members[last]?.plan.length ?? 0)) picked[last--] = 0
    if (last < 0) return
    picked[last] = (picked[last] as number) + 1
  }
}

type Trial = { readonly kept: readonly Choice[]; readonly plan: ResolvedPlan } | { readonly reasons: readonly string[] }

/**
 * Excludes optional buildpacks with unmet requirements. Each exclusion removes what the buildpack provides and requires,
 * which can invalidate other buildpacks, so this repeats until nothing changes. Exclusions only cause more exclusions, so their order
 * does not matter.
 */
function runTrial(choices: readonly Choice[]): Trial {
  const excluded: string[] = []
  let kept = choices
  for (;;) {
    const { plan, problems } = match(kept)
    const fatal = [...problems].filter(([c]) => !c.element.optional && !c.isExtension)
    if (fatal.length > 0) return { reasons: [...excluded, ...fatal.map(([, reason]) => reason)] }
    if (problems.size === 0)
      return kept.some(c => !c.isExtension)
        ? { kept, plan }
        : { reasons: [...excluded, 'no buildpack is left in the group'] }
    for (const reason of problems.values()) excluded.push(`${reason}, so it is not used`)
    kept = kept.filter(c => !problems.has(c))
  }
}

/** The unpaired provides and requires of one dependency. */
interface Dependency {
  readonly providers: PlanProvider[]
  readonly requires: PlanRequire[]
  /** Provided, but not required by a later buildpack. */
  readonly spare: Choice[]
}

function match(choices: readonly Choice[]): { plan: ResolvedPlan; problems: Map<Choice, string> } {
  const dependencies = new Map<string, Dependency>()
  const problems = new Map<Choice, string>()
  for (const choice of choices) {
    const { provides, requires } = choice.sections
    for (const name of new Set(provides)) {
      const known = dependencies.get(name)
      if (known) known.spare.push(choice)
      else dependencies.set(name, { providers: [], requires: [], spare: [choice] })
    }
    for (const require of requires) {
      const dependency = dependencies.get(require.name)
      if (dependency) {
        dependency.requires.push(require)
        dependency.providers.push(...dependency.spare.splice(0).map(providerOf))
      } else {
        report(problems, choice, `requires ${plain(require.name)}, which nothing before it provides`)
      }
    }
  }
  const entries: PlanEntry[] = []
  for (const [name, { providers, requires, spare }] of dependencies) {
    for (const choice of spare) report(problems, choice, `provides ${plain(name)}, which nothing after it requires`)
    if (requires.length > 0) entries.push({ providers, requires })
  }
  return { plan: { entries }, problems }
}

/** Names only the first problem of each buildpack. */
function report(problems: Map<Choice, string>, choice: Choice, what: string): void {
  if (!problems.has(choice)) problems.set(choice, `${choice.element.id} ${what}`)
}

const providerOf = ({ element: { id, version }, isExtension }: Choice): PlanProvider => ({
  id,
  version,
  ...(isExtension === true && { extension: true as const }),
})

const groupOf = (kept: readonly Choice[]): Group => ({
  buildpacks: kept.filter(c => !c.isExtension).map(c => withoutOptional(c.element)),
  extensions: kept.filter(c => c.isExtension).map(c => withoutOptional(c.element)),
})

function withoutOptional({ optional: _, ...element }: GroupElement): GroupElement {
  return element
}
