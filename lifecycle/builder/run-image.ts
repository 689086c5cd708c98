import type { Reporter } from '../events.ts'
import { formatReference, parseReference } from '../image/reference.ts'
import type { ImageLocation } from '../phases/analyze.ts'
import { type Destination, openSource } from '../stores/open.ts'
import type { ImageStore } from '../stores/store.ts'
import type { Settings } from './settings.ts'
import type { InstalledStack } from './stack.ts'

export interface RunImageInput {
  /** As the user or the builder names it; absent for the stack's own. */
  readonly wanted: string | { readonly image: string; readonly mirrors: readonly string[] } | undefined
  readonly stack: InstalledStack
  /** Bale's own store. */
  readonly local: ImageStore
  readonly destination: Destination
  readonly settings: Settings
  readonly reporter: Reporter
}

/**
 * Where the run image comes from: the stack's own image, one that the user names in any way skopeo does, or one of the
 * builder's, from the app image's registry if it is there (platform.md, "Run Image Resolution").
 */
export async function chooseRunImage(input: RunImageInput): Promise<ImageLocation & { readonly mirrors: readonly string[] }> {
  const { wanted, stack, local, settings, reporter } = input
  if (wanted === undefined) return { source: local, name: stack.runImage, mirrors: [] }
  if (typeof wanted === 'string') return { ...(await openSource(wanted, { settings, reporter })), mirrors: [] }
  const candidates = [wanted.image, ...wanted.mirrors]
  const near = candidates.find(c => parseReference(c).registry === input.destination.registry) ?? wanted.image
  const { source } = await openSource(near, { settings, reporter })
  return { source, name: formatReference(parseReference(near)), mirrors: wanted.mirrors }
}
