import { BaleError } from '../errors.ts'
import { copyImage } from './copy.ts'
import type { ImageAt, Stores } from './open.ts'
import { asPublished, isPlain } from './transports.ts'
import type { Platform } from '../image/manifest.ts'

/** When an image is read from its registry: pack's words. */
export const pullPolicies = ['always', 'if-not-present', 'never'] as const
export type PullPolicy = (typeof pullPolicies)[number]

/**
 * Where an image is read from. A name with a transport means that place alone. A plain one is looked for in Bale's own store and
 * then in its registry; `always` asks the registry alone, `if-not-present` keeps in the store what it finds there, and `never`
 * asks the store alone.
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
      fix: 'see what there is: bale image ls; or allow pulling with --pull-policy if-not-present',
    })
  const image = await there.source.pull(there.name, platform, signal)
  if (image === undefined) return there
  await copyImage(image, stores.local, [reference.name], signal)
  return own
}
