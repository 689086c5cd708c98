import { BaleError } from '../errors.ts'
import { type Node, errorAt, flag, has, metadata, missing, quote, readToml, requiredText, tables } from './read.ts'
import { formatToml } from './toml.ts'
import type { BuildPlan, PlanEntry, PlanProvider, PlanRequire, PlanSections, ResolvedPlan } from './types.ts'

/**
 * Parses the build plan of bin/detect (buildpack.md, "Build Plan"): the top level, then each `or`. Empty text is a plan that
 * provides and requires nothing.
 */
export function parseBuildPlan(content: Uint8Array | string, where: string): BuildPlan {
  const document = readToml(content, where)
  return [document, ...tables(document, 'or')].map(readSections)
}

function readSections(node: Node): PlanSections {
  return {
    provides: tables(node, 'provides').map(p => requiredText(p, 'name')),
    requires: tables(node, 'requires').map(readRequire),
  }
}

function readRequire(node: Node): PlanRequire {
  // Deprecated for long. If it were ignored as an unknown key, it would be lost silently.
  if (has(node, 'version'))
    throw errorAt(
      node,
      'version',
      'a requirement has no version',
      'write it as metadata: [requires.metadata] version = …',
    )
  return { name: requiredText(node, 'name'), metadata: metadata(node, 'metadata') }
}

/** plan.toml (platform.md, "plan.toml"). Accepts an entry that no buildpack requires, as other lifecycles do. */
export function parseResolvedPlan(content: Uint8Array | string, where: string): ResolvedPlan {
  return { entries: tables(readToml(content, where), 'entries').map(readEntry) }
}

function readEntry(node: Node): PlanEntry {
  const providers = tables(node, 'providers').map(p => ({
    id: requiredText(p, 'id'),
    version: requiredText(p, 'version'),
    ...(flag(p, 'extension') && { extension: true as const }),
  }))
  if (providers.length === 0) throw missing(node, 'providers', 'each entry needs a buildpack that provides it')
  const requires = tables(node, 'requires').map(r => ({
    name: requiredText(r, 'name'),
    metadata: metadata(r, 'metadata'),
  }))
  const first = requires[0]
  if (first && requires.some(r => r.name !== first.name))
    throw errorAt(node, 'requires', 'an entry has more than one dependency', 'make an entry for each name')
  return { providers, requires }
}

export function formatResolvedPlan(plan: ResolvedPlan): string {
  if (plan.entries.length === 0) return '' // the form that platforms expect
  return formatToml({
    entries: plan.entries.map(e => ({
      providers: e.providers.map(p => ({ id: p.id, version: p.version, extension: p.extension })),
      requires: e.requires.map(writeRequire),
    })),
  })
}

/** Makes the file at CNB_BP_PLAN_PATH for bin/build (buildpack.md, "Buildpack Plan"). */
export function formatBuildpackPlan(requires: readonly PlanRequire[]): string {
  return formatToml({ entries: requires.map(writeRequire) })
}

function writeRequire(require: PlanRequire): Readonly<Record<string, unknown>> {
  const isEmpty = Object.keys(require.metadata).length === 0
  return { name: require.name, metadata: isEmpty ? undefined : require.metadata }
}

const isSame = (a: PlanProvider, b: PlanProvider): boolean =>
  a.id === b.id && a.version === b.version && (a.extension ?? false) === (b.extension ?? false)

const isProvidedBy = (entry: PlanEntry, element: PlanProvider): boolean => entry.providers.some(p => isSame(p, element))

/** Returns the requirements that a buildpack shall provide, in the plan's order. */
export function planFor(plan: ResolvedPlan, element: PlanProvider): readonly PlanRequire[] {
  return plan.entries.filter(e => isProvidedBy(e, element)).flatMap(e => e.requires)
}

/**
 * Returns the plan for the buildpacks after `element`. Removes the entries that it met; keeps the ones that it declared unmet
 * for the next buildpack that can provide them (buildpack.md, "Unmet Buildpack Plan Entries").
 * @throws BaleError 'input' if it declares an entry unmet that was not in its plan
 */
export function withoutMet(plan: ResolvedPlan, element: PlanProvider, unmet: readonly string[]): ResolvedPlan {
  const asked = new Set(planFor(plan, element).map(r => r.name))
  const stranger = unmet.find(name => !asked.has(name))
  if (stranger !== undefined)
    throw new BaleError('input', `unmet names ${quote(stranger)}, which is not in the plan of the buildpack`, {
      where: `build.toml of ${element.id}@${element.version}`,
      fix: 'name only entries of the plan',
    })
  const left = new Set(unmet)
  const entries = plan.entries.flatMap((entry): PlanEntry[] => {
    if (!isProvidedBy(entry, element)) return [entry]
    if (!entry.requires.some(r => left.has(r.name))) return []
    const providers = entry.providers.filter(p => !isSame(p, element))
    return providers.length === 0 ? [] : [{ providers, requires: entry.requires }]
  })
  return { entries }
}
