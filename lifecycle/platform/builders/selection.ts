import { BaleError } from '../../errors.ts'
import type { Order, OrderElement } from '../../spec/types.ts'
import { type BuildpackModule, nameOf } from './module.ts'
import type { OpenedBuildpack } from './open-buildpack.ts'

/** A buildpack that a user or a project adds to those of the builder. */
export interface BuildpackChoice {
  /** A URI for `openBuildpack`, or `from=builder`: the builder's own order. */
  readonly uri: string
  /** Where the user names the buildpack, for messages: `--buildpack`, `project.toml`. */
  readonly where: string
  readonly optional?: boolean
  /** Set for a script of project.toml, which is already open. */
  readonly module?: BuildpackModule
}

/** Which buildpacks a build uses besides or in place of the builder's order. */
export interface BuildpackSelection {
  /** One group in place of the builder's order. Empty: the builder's order. */
  readonly group: readonly BuildpackChoice[]
  /** Put before, and after, every group. */
  readonly pre: readonly BuildpackChoice[]
  readonly post: readonly BuildpackChoice[]
}

interface Contents {
  readonly buildpacks: readonly BuildpackModule[]
  readonly order: Order
}

/** Opens the buildpack of a URI. @param where where the user names it, for messages */
export type OpenChoice = (uri: string, where: string, signal: AbortSignal) => Promise<OpenedBuildpack>

/**
 * Adds the buildpacks that a build chooses to the builder's buildpacks and order.
 * @throws BaleError for a buildpack that cannot be opened, or that is given twice with different contents
 */
export async function withSelection(
  { buildpacks, order }: Contents,
  { group, pre, post }: BuildpackSelection,
  openUri: OpenChoice,
  signal: AbortSignal,
): Promise<Contents> {
  const known = new Map(buildpacks.map(module => [nameOf(module.descriptor), module]))
  const open = async (choice: BuildpackChoice): Promise<OrderElement> => {
    const { uri, where, module, optional = false } = choice
    const opened: OpenedBuildpack = module === undefined ? await openUri(uri, where, signal) : [module]
    // The user's buildpack replaces the builder's own buildpack of the same name.
    for (const each of opened) if (each.dir !== undefined) known.set(nameOf(each.descriptor), each)
    const { id, version } = opened[0].descriptor
    return { id, version, optional }
  }
  const openAll = async (choices: readonly BuildpackChoice[]): Promise<OrderElement[]> => {
    const elements: OrderElement[] = []
    for (const choice of choices) elements.push(await open(choice))
    return elements
  }
  const [before, after] = [await openAll(pre), await openAll(post)]
  const chosen = group.length === 0 ? order.groups : await groupsOf(group, order, openAll)
  return {
    buildpacks: [...known.values()],
    order: { groups: chosen.map(elements => [...before, ...elements, ...after]), extensions: order.extensions },
  }
}

/** `from=builder` within a group stands for each group of the builder's order. */
async function groupsOf(
  group: readonly BuildpackChoice[],
  order: Order,
  openAll: (choices: readonly BuildpackChoice[]) => Promise<OrderElement[]>,
): Promise<Order['groups']> {
  const isBuilder = ({ uri }: BuildpackChoice): boolean => uri === 'from=builder' || uri === 'urn:cnb:builder'
  const at = group.findIndex(isBuilder)
  if (at === -1) return [await openAll(group)]
  const again = group.slice(at + 1).find(isBuilder)
  if (again !== undefined)
    throw new BaleError('arguments', `${again.uri} is given twice, but an order can only be in one place`, {
      where: again.where,
      fix: 'leave one of them out',
    })
  const [before, after] = [await openAll(group.slice(0, at)), await openAll(group.slice(at + 1))]
  return order.groups.map(elements => [...before, ...elements, ...after])
}
