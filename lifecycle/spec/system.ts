import { readOrderElement } from './order.ts'
import { readToml, table, tables } from './read.ts'
import type { Order, OrderElement } from './types.ts'

/** system.toml (platform.md, "system.toml"): buildpacks of the operator before and after each group. */
export interface System {
  readonly pre: readonly OrderElement[]
  readonly post: readonly OrderElement[]
}

export function parseSystem(content: Uint8Array | string, where: string): System {
  const system = table(readToml(content, where), 'system')
  const read = (key: string): readonly OrderElement[] => {
    const place = system && table(system, key)
    return place ? tables(place, 'buildpacks').map(readOrderElement) : []
  }
  return { pre: read('pre'), post: read('post') }
}

/**
 * Adds the system's buildpacks around each group of the order, except ones that the group already has (platform.md, "detector").
 */
export function withSystem(order: Order, system: System): Order {
  const around = (group: readonly OrderElement[]): readonly OrderElement[] => {
    const isNew = (e: OrderElement): boolean => !group.some(own => own.id === e.id)
    return [...system.pre.filter(isNew), ...group, ...system.post.filter(isNew)]
  }
  return { ...order, groups: order.groups.map(around) }
}
