import { BaleError } from '../../errors.ts'
import type { Platform } from '../../image/manifest.ts'
import type { Stores } from '../../stores/open.ts'
import { type PullPolicy, locate } from '../../stores/pull-policy.ts'
import { type BuilderImage, readBuilderImage } from './builder-image.ts'

export interface PullInput {
  readonly stores: Stores
  readonly platform: Platform
  readonly pullPolicy?: PullPolicy | undefined
}

/**
 * The builder image of that name.
 * @throws BaleError 'arguments' if there is none, 'input' if it is none
 */
export async function pullBuilder(name: string, input: PullInput, signal: AbortSignal): Promise<BuilderImage> {
  const at = await locate(input.stores, name, input.platform, input.pullPolicy, signal)
  const image = await at.source.pull(at.name, input.platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no builder ${name} in ${at.source.description}`, {
      fix: 'correct its name, or give --builder a builder.toml',
    })
  return readBuilderImage(image, name)
}
