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
 * Opens the builder image with a name.
 * @throws BaleError 'arguments' if there is no such image, 'input' if the image is not a builder
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
