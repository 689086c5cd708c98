import { BaleError } from '../errors.ts'
import { appliesIn } from './exec-env.ts'
import type { BuildpackDescriptor, Order, OrderElement } from './types.ts'

/** Groups that an order may expand to, and steps it may take: composites multiply, and a few can mean billions. */
const maxGroups = 10_000
const maxSteps = 1_000_000

type Group = readonly OrderElement[]
const none: Group = []

/**
 * The groups to try, in turn, without composites (buildpack.md, "Order Resolution"): depth first, left to right. After the
 * groups of an optional composite comes the group without it. What the order or the buildpack itself limits to other
 * execution environments is left out, and so is a group of which nothing remains (platform.md, "detector").
 * @param find the buildpack of that id and version; it throws if there is none
 * @throws BaleError 'input' for a cycle, too many groups, and image extensions
 */
export function resolveOrder(
  order: Order,
  find: (id: string, version: string) => BuildpackDescriptor,
  execEnv: string,
): readonly Group[] {
  if (order.extensions.length > 0)
    throw new BaleError('input', 'image extensions are not supported', {
      where: 'order-extensions',
      fix: 'remove [[order-extensions]] from the order',
    })
  const groups: Group[] = []
  const resolver = new Resolver(find, execEnv)
  for (const group of order.groups)
    for (const resolved of resolver.expand(group, [])) {
      if (resolved.length === 0) continue
      groups.push(resolved)
      if (groups.length > maxGroups) throw tooMany(`more than ${maxGroups} groups`, resolved)
    }
  return groups
}

function tooMany(what: string, elements: Group): BaleError {
  const names = elements.slice(0, 5).map(nameOf).join(', ')
  return new BaleError('input', `the order expands to ${what}`, {
    where: `order, at ${names}`,
    fix: 'nest fewer composite buildpacks with several groups',
  })
}

const nameOf = (e: Pick<OrderElement, 'id' | 'version'>): string => (e.version === '' ? e.id : `${e.id}@${e.version}`)

class Resolver {
  private steps = 0
  private readonly find: (id: string, version: string) => BuildpackDescriptor
  private readonly execEnv: string

  constructor(find: (id: string, version: string) => BuildpackDescriptor, execEnv: string) {
    this.find = find
    this.execEnv = execEnv
  }

  /** Every expansion of a group, the last element's choices varying fastest. `path` is the composites we are in. */
  *expand(group: Group, path: readonly string[]): Generator<Group> {
    const [first, ...rest] = group
    if (!first) {
      yield none
      return
    }
    for (const head of this.choices(first, path)) for (const tail of this.expand(rest, path)) yield [...head, ...tail]
  }

  /** What an element may stand for: itself, or each group of the composite it names. */
  private *choices(element: OrderElement, path: readonly string[]): Generator<Group> {
    if (++this.steps > maxSteps) throw tooMany('more than can be looked at', [element])
    if (!appliesIn(element.execEnv, this.execEnv)) {
      yield none
      return
    }
    const buildpack = this.find(element.id, element.version)
    if (!appliesIn(buildpack.execEnv, this.execEnv)) yield none
    else if (!buildpack.order) yield [element]
    else yield* this.choicesOf(buildpack, buildpack.order, element.optional, path)
  }

  private *choicesOf(
    buildpack: BuildpackDescriptor,
    order: readonly Group[],
    optional: boolean,
    path: readonly string[],
  ): Generator<Group> {
    const name = `${buildpack.id}@${buildpack.version}`
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name].join(' → ')
      throw new BaleError('input', `the order never ends: ${cycle}`, {
        where: name,
        fix: 'take one of these buildpacks out of the order of the one before it',
      })
    }
    let empty = true
    for (const group of order)
      for (const expanded of this.expand(group, [...path, name])) {
        if (expanded.length === 0) continue
        empty = false
        yield expanded
      }
    if (optional || empty) yield none
  }
}
