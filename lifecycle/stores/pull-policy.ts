import { BaleError } from '../errors.ts'
import { copyImage } from './copy.ts'
import type { ImageAt, Stores } from './open.ts'
import { asPublished, isPlain } from './transports.ts'
import type { Platform } from '../image/manifest.ts'

/** When to read an image from its registry, in pack's words. */
export const pullPolicies = ['always', 'if-not-present', 'never'] as const
export type PullPolicy = (typeof pullPolicies)[number]

/** The places where `Stores.find` looks for a plain name. */
export const placesOf = (policy: PullPolicy | undefined): 'machine' | 'registry' | undefined =>
  policy === 'always' ? 'registry' : policy === 'never' ? 'machine' : undefined

/**
 * Finds the place to read an image from. A name with a transport means only that place. A plain name is looked up in Bale's own
 * store and then in its registry; `always` asks only the registry, `if-not-present` stores an image from the registry, and `never`
 * asks only the store.
 * @throws BaleError 'arguments' with `never`, if the store does not have it
 */
export async function locate(
  stores: Stores,
  text: string,
  platform: Platform,
  policy: PullPolicy | undefined,
  signal?: AbortSignal,
): Promise<ImageAt> {
  const reference = stores.parse(text)
  if (!isPlain(reference)) return stores.at(reference)
  const own: ImageAt = { source: stores.local, name: reference.name }
  const there = await stores.at(asPublished(reference, true))
  if (policy === 'always') return there
  if ((await stores.local.pull(reference.name, platform, signal)) !== undefined) return own
  if (policy === undefined) return there
  if (policy === 'never')
    throw new BaleError('arguments', `there is no image ${text} in the local store`, {
      where: '--pull-policy never',
      fix: 'list the images: bale image ls; or allow pulling with --pull-policy if-not-present',
    })
  const image = await there.source.pull(there.name, platform, signal)
  if (image === undefined) return there
  await copyImage(image, stores.local, [reference.name], signal)
  return own
}
