import type { BuildPlan, Metadata, PlanRequire } from '../../lifecycle/spec/types.ts'

/**
 * Builds the plan that detect hands over (buildpack.md, "Build Plan"):
 *
 *     buildPlan().provides('node').requires('node', { version: '24' }).or().provides('node')
 *
 * Each method gives a new builder; `or()` starts the next alternative.
 */
export class BuildPlanBuilder {
  readonly sections: BuildPlan

  constructor(sections: BuildPlan = [{ provides: [], requires: [] }]) {
    this.sections = sections
  }

  provides(...names: string[]): BuildPlanBuilder {
    const { head, last } = this.#split()
    return new BuildPlanBuilder([...head, { ...last, provides: [...last.provides, ...names] }])
  }

  requires(name: string, metadata: Metadata = {}): BuildPlanBuilder {
    const { head, last } = this.#split()
    const require: PlanRequire = { name, metadata }
    return new BuildPlanBuilder([...head, { ...last, requires: [...last.requires, require] }])
  }

  or(): BuildPlanBuilder {
    return new BuildPlanBuilder([...this.sections, { provides: [], requires: [] }])
  }

  #split() {
    return { head: this.sections.slice(0, -1), last: this.sections.at(-1) ?? { provides: [], requires: [] } }
  }
}

export function buildPlan(): BuildPlanBuilder {
  return new BuildPlanBuilder()
}

/** The plan as a TOML table: the first section at the top, the others in `or`. */
export function planDocument([first, ...others]: BuildPlan): Metadata {
  return { ...sectionTable(first), ...(others.length > 0 && { or: others.map(sectionTable) }) }
}

function sectionTable(section: BuildPlan[number] = { provides: [], requires: [] }): Metadata {
  const { provides, requires } = section
  const requireTable = ({ name, metadata }: PlanRequire) => ({
    name,
    ...(Object.keys(metadata).length > 0 && { metadata }),
  })
  return {
    ...(provides.length > 0 && { provides: provides.map(name => ({ name })) }),
    ...(requires.length > 0 && { requires: requires.map(requireTable) }),
  }
}
