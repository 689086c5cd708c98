import { BaleError } from '../errors.ts'
import { appliesIn } from './exec-env.ts'
import type { BuildpackDescriptor, Order, OrderElement } from './types.ts'

/** The maximum of groups that an order may expand to, and of buildpacks in all of them: a few composites can multiply to billions. */
const maxGroups = 10_000
const maxElements = 1_000_000

type Group = readonly OrderElement[]

/** A group to try: extensions come before buildpacks, and all of them are optional. */
export interface ExpandedGroup {
  readonly extensions: Group
  readonly buildpacks: Group
}

/**
 * Expands an order into the groups to try, without composites (buildpack.md, "Order Resolution"): depth first, left to
 * right, the groups of extensions varying slowest. After the groups of an optional composite comes the group without it.
 * Leaves out elements that the order or the buildpack limits to other execution environments, and groups that become empty
 * (platform.md, "detector").
 * @param find returns the buildpack with an id and version, or throws
 * @throws BaleError 'input' for a cycle and too many groups
 */
export function resolveOrder(
  order: Order,
  find: (id: string, version: string) => BuildpackDescriptor,
  execEnv: string,
): readonly ExpandedGroup[] {
  const groups = new Resolver(find, execEnv).groupsOf(order.groups, [])
  if (order.extensions.length === 0) return groups.map(buildpacks => ({ extensions: [], buildpacks }))
  const choices = order.extensions.map(group => group.filter(e => appliesIn(e.execEnv, execEnv)))
  const elements = sizeOf(choices) * groups.length + sizeOf(groups) * choices.length
  checkSize(choices.length * groups.length, elements, order.extensions[0] as Group)
  return choices.flatMap(extensions => groups.map(buildpacks => ({ extensions, buildpacks })))
}

class Resolver {
  private readonly find: (id: string, version: string) => BuildpackDescriptor
  private readonly execEnv: string
  private readonly known = new Map<string, readonly Group[]>()

  constructor(find: (id: string, version: string) => BuildpackDescriptor, execEnv: string) {
    this.find = find
    this.execEnv = execEnv
  }

  /** Expands an order into its groups. `path` holds the enclosing composites. */
  groupsOf(order: readonly Group[], path: readonly string[]): readonly Group[] {
    const groups: Group[] = []
    for (const group of order) {
      groups.push(...this.expand(group, path).filter(expanded => expanded.length > 0))
      checkSize(groups.length, sizeOf(groups), group)
    }
    return groups
  }

  /** Emits every combination of the choices for a group's elements. The last element's choices vary fastest. */
  private expand(group: Group, path: readonly string[]): readonly Group[] {
    let heads: readonly Group[] = [[]]
    for (const element of group) {
      const tails = this.choices(element, path)
      const size = sizeOf(heads) * tails.length + sizeOf(tails) * heads.length
      checkSize(heads.length * tails.length, size, group)
      heads = heads.flatMap(head => tails.map(tail => [...head, ...tail]))
    }
    return heads
  }

  /** Returns the choices for an element: itself, each group of the composite that it names, or nothing. */
  private choices(element: OrderElement, path: readonly string[]): readonly Group[] {
    if (!appliesIn(element.execEnv, this.execEnv)) return [[]]
    const buildpack = this.find(element.id, element.version)
    if (!appliesIn(buildpack.execEnv, this.execEnv)) return [[]]
    if (!buildpack.order) return [[element]]
    const groups = this.composite(buildpack, buildpack.order, path)
    return element.optional || groups.length === 0 ? [...groups, []] : groups
  }

  private composite(
    buildpack: BuildpackDescriptor,
    order: readonly Group[],
    path: readonly string[],
  ): readonly Group[] {
    const name = `${buildpack.id}@${buildpack.version}`
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name].join(' → ')
      throw new BaleError('input', `the order contains a cycle: ${cycle}`, {
        where: name,
        fix: 'remove one of these buildpacks from the order of the buildpack before it',
      })
    }
    const groups = this.known.get(name) ?? this.groupsOf(order, [...path, name])
    this.known.set(name, groups)
    return groups
  }
}

const sizeOf = (groups: readonly Group[]): number => groups.reduce((sum, group) => sum + group.length, 0)

function checkSize(groups: number, elements: number, at: Group): void {
  if (groups <= maxGroups && elements <= maxElements) return
  const names = at.map(e => (e.version === '' ? e.id : `${e.id}@${e.version}`))
  const what = groups > maxGroups ? `more than ${maxGroups} groups` : `more than ${maxElements} buildpacks`
  throw new BaleError('input', `the order expands to ${what}`, {
    where: `the group ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    fix: 'nest fewer composite buildpacks with several groups',
  })
}
