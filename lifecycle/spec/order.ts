import { BaleError } from '../errors.ts'
import { optionalExecEnv } from './exec-env.ts'
import { checkBuildpackId, checkVersion } from './ids.ts'
import { type Node, errorAt, flag, readToml, requiredText, tables, text, whereOf } from './read.ts'
import { formatToml } from './toml.ts'
import type { Order, OrderElement } from './types.ts'

/** order.toml (platform.md, "order.toml"). */
export function parseOrder(content: Uint8Array | string, where: string): Order {
  const document = readToml(content, where)
  const groups = readGroups(document, 'order')
  if (groups.length === 0)
    throw new BaleError('nothing-detected', 'the order has no groups', {
      where: `${where} order`,
      fix: 'add [[order]] and [[order.group]]',
    })
  return { groups, extensions: readGroups(document, 'order-extensions') }
}

/** Reads the groups of `[[order]]`. Returns none if there is no order. A group without buildpacks is an error. */
export function readGroups(document: Node, key: string): readonly (readonly OrderElement[])[] {
  return tables(document, key).map(order => {
    const group = tables(order, 'group').map(readOrderElement)
    if (group.length === 0)
      throw errorAt(order, 'group', 'a group has no buildpacks', 'add [[order.group]] or remove it')
    return group
  })
}

/** Reads `id`, `version` (empty if absent: the only existing one), `optional`, `exec-env`. */
export function readOrderElement(node: Node): OrderElement {
  const id = requiredText(node, 'id')
  checkBuildpackId(id, whereOf(node, 'id'))
  const version = text(node, 'version') ?? ''
  if (version !== '') checkVersion(version, whereOf(node, 'version'))
  return { id, version, optional: flag(node, 'optional'), ...optionalExecEnv(node) }
}

export function formatOrder(order: Order): string {
  return formatToml({
    order: order.groups.map(writeGroup),
    'order-extensions': order.extensions.length === 0 ? undefined : order.extensions.map(writeGroup),
  })
}

function writeGroup(group: readonly OrderElement[]): object {
  return {
    group: group.map(e => ({
      id: e.id,
      version: e.version === '' ? undefined : e.version,
      optional: e.optional || undefined,
      'exec-env': e.execEnv,
    })),
  }
}
