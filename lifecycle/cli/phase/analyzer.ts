import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { Image } from '../../image/image.ts'
import { type PreviousImage, readPrevious, targetOfImage } from '../../phases/analyze.ts'
import { sbomTarOf, unpackSboms } from '../../phases/sbom.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import type { Analyzed } from '../../spec/types.ts'
import { type ImageAt, hostPlatform } from '../../stores/open.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { writeOutput } from './files.ts'
import { presentOf } from './flags.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { findRunImage } from './run-toml.ts'

/** platform.md, "analyzer". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs } = context
  const images = context.resources.use(new Images(context))
  const names = checkedNames([...onlyImage(inputs), ...inputs.list('tag')], images, 'analyzer')
  const access = await checkAccess(context, images, names)
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'launch-cache')],
    images,
    async run() {
      await restorePreviousSboms(context, access.previous.found, inputs.flag('skip-layers'))
      await writeOutput(inputs.path('analyzed'), formatAnalyzed(describe(context, images, access)))
    },
  }
}

/** What is known before the work begins: every image that is needed can be read, and every one that is made be written. */
export interface Access {
  readonly previous: { readonly name: string; readonly found?: PreviousImage }
  readonly runImage: { readonly name: string; readonly image: Image }
}

/** platform.md, "analyzer": read and write access. @throws BaleError */
export async function checkAccess(
  context: PhaseContext,
  images: Images,
  names: readonly [string, ...string[]],
): Promise<Access> {
  const { inputs, log, signal } = context
  const name = inputs.text('previous-image') ?? names[0]
  const at = await images.at(name)
  const destinations = await images.destinations(names)
  const cacheImage = await images.cacheImage()
  const [runImage, found] = await Promise.all([
    findRunImage(context, images, names[0]),
    readPrevious({ platform: hostPlatform(), previous: at, reporter: log }, signal),
    ...destinations.map(({ sink, names: own }) => sink.checkWrite(own, signal)),
    cacheImage?.sink.checkWrite(cacheImage.names, signal),
    cacheImage && checkRead(cacheImage.previous, signal),
  ])
  return { previous: { name, ...(found && { found }) }, runImage }
}

/** An image that is not there can be read, and so can one that is damaged: a cache of no use is no obstacle. */
async function checkRead({ source, name }: ImageAt, signal: AbortSignal): Promise<void> {
  await source.pull(name, hostPlatform(), signal).catch((error: unknown) => {
    if (!(error instanceof BaleError) || error.code !== 'input') throw error
  })
}

/** What the other phases learn, as analyzed.toml. */
export function describe({ features }: PhaseContext, images: Images, { previous, runImage }: Access): Analyzed {
  const { name, found } = previous
  return {
    ...(found && { image: { reference: images.identify(name, found.image) }, metadata: found.metadata }),
    runImage: {
      reference: images.identify(runImage.name, runImage.image),
      image: runImage.name,
      ...(features.targets && { target: targetOfImage(runImage.image) }),
    },
  }
}

/** The SBOM files of the previous image, for restore to put back beside the layers that they describe. */
export async function restorePreviousSboms(
  { inputs, features, log, signal }: PhaseContext,
  previous: PreviousImage | undefined,
  skip: boolean,
): Promise<void> {
  const tar = previous === undefined || skip || !features.sbomLayer ? undefined : sbomTarOf(previous, signal)
  if (tar === undefined) return
  const layers = inputs.path('layers')
  const layersDir = { host: layers, image: layers }
  await unpackSboms(tar, join(layers, 'sbom'), { layersDir, what: 'previous image', reporter: log, signal })
}
