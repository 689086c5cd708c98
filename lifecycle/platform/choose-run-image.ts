import { parseReference } from '../image/reference.ts'
import type { Destination, ImageAt, Stores } from '../stores/open.ts'
import type { InstalledStack } from './stack.ts'

export interface RunImageInput {
  /** As the user or the builder names it; absent for the stack's own. */
  readonly wanted: string | { readonly image: string; readonly mirrors: readonly string[] } | undefined
  readonly stack: InstalledStack
  readonly stores: Stores
  readonly destination: Destination
}

/**
 * Where the run image comes from: the stack's own image, one that the user names in any way skopeo does, or one of the
 * builder's, from the app image's registry if it is there (platform.md, "Run Image Resolution").
 */
export async function chooseRunImage(input: RunImageInput): Promise<ImageAt & { readonly mirrors: readonly string[] }> {
  const { wanted, stack, stores, destination } = input
  if (wanted === undefined) return { source: stores.local, name: stack.runImage, mirrors: [] }
  if (typeof wanted === 'string') return { ...(await stores.source(wanted)), mirrors: [] }
  const candidates = [wanted.image, ...wanted.mirrors]
  const near = candidates.find(c => parseReference(c).registry === destination.registry) ?? wanted.image
  return { ...(await stores.source(near)), mirrors: wanted.mirrors }
}
