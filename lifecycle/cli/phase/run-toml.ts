import { BaleError } from '../../errors.ts'
import type { Image } from '../../image/image.ts'
import { parseReference } from '../../image/reference.ts'
import { pullRunImage, requirePlatform } from '../../phases/analyze.ts'
import { readTrusted } from '../../files/read.ts'
import { resolveRunImage } from '../../phases/run-image.ts'
import { parseRun, parseStack } from '../../spec/run.ts'
import type { RunDocument } from '../../spec/types.ts'
import { hostPlatform } from '../../stores/open.ts'
import type { PhaseContext } from './binary.ts'
import type { Images } from './images.ts'

/** run.toml, or its predecessor stack.toml; empty if it is not there. */
export async function readRunDocument({ inputs, features }: PhaseContext): Promise<RunDocument> {
  const path = inputs.path(features.runToml ? 'run' : 'stack')
  const content = await readTrusted(path)
  if (content === undefined) return { images: [] }
  return (features.runToml ? parseRun : parseStack)(content, path)
}

/**
 * The run image: -run-image, or what run.toml has for this app image (platform.md, "Run Image Resolution").
 * @throws BaleError 'arguments' if there is none that can be read
 */
export async function findRunImage(
  context: PhaseContext,
  images: Images,
  appImage: string,
): Promise<{ readonly name: string; readonly image: Image }> {
  const { inputs, features, log, signal } = context
  const name = inputs.text('run-image')
  if (name !== undefined) return { name, image: await pullRunImage(await images.at(name), hostPlatform(), signal) }
  const [entry] = (await readRunDocument(context)).images
  if (entry === undefined) {
    throw new BaleError('arguments', '-run-image is required when there is no run metadata', {
      where: inputs.path(features.runToml ? 'run' : 'stack'),
      fix: 'give -run-image, or name an image in that file',
    })
  }
  const read = async (candidate: string) => {
    const { source, name: known } = await images.at(candidate)
    const image = await source.pull(known, hostPlatform(), signal)
    if (image !== undefined) requirePlatform(image, candidate, hostPlatform())
    return image
  }
  const { registry } = parseReference(appImage)
  return resolveRunImage({ entry, registry, read, reporter: log }, signal)
}
