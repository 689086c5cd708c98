import { BaleError } from '../../errors.ts'
import type { OrderElement } from '../../spec/types.ts'
import type { BuildEnvironment, LifecycleChoice } from '../build-environment.ts'
import { type BuildpackModule, nameOf } from './module.ts'
import type { OpenChoice } from './selection.ts'

const where = '--extension'

/**
 * Image extensions in place of the builder's, as one group. One whose detection fails is skipped (platform.md, "order.toml").
 * @param uris in the notation of `openBuildpack`; empty: the builder's extensions
 */
export async function withExtensions(
  { extensions, order }: Pick<BuildEnvironment, 'extensions' | 'order'>,
  uris: readonly string[],
  open: OpenChoice,
  signal: AbortSignal,
): Promise<Pick<BuildEnvironment, 'extensions' | 'order'>> {
  if (uris.length === 0) return { extensions, order }
  const known = new Map<string, BuildpackModule>(extensions.map(module => [nameOf(module.descriptor), module]))
  const group: OrderElement[] = []
  for (const uri of uris) {
    const opened = await open(uri, where, signal)
    const { id, version } = opened[0].descriptor
    if (group.some(other => other.id === id))
      throw new BaleError('arguments', `the image extension ${id} is given twice`, { where, fix: 'name it once' })
    for (const module of opened) known.set(nameOf(module.descriptor), module)
    group.push({ id, version, optional: true })
  }
  return { extensions: [...known.values()], order: { ...order, extensions: [group] } }
}

/** Image extensions need sandboxes of Bale's own, and its own phases in them. @throws BaleError 'usage' without them */
export function requireExtensions(
  uris: readonly string[],
  lifecycle: LifecycleChoice | undefined,
  inContainer: boolean,
): void {
  if (uris.length === 0 || (lifecycle !== 'builder' && !inContainer)) return
  throw new BaleError(
    'usage',
    `${inContainer ? 'a job in a container of a builder image' : '--lifecycle builder'} uses no image extensions`,
    {
      where,
      fix: inContainer ? 'leave it out, or build on a machine' : 'leave one of them out',
    },
  )
}
