import { join } from 'node:path'
import type { Image } from '../../image/image.ts'
import { parseReference } from '../../image/reference.ts'
import { type PreviousImage, readPrevious, targetOfImage } from '../../phases/analyze.ts'
import { sbomTarOf, unpackSboms } from '../../phases/sbom.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import type { Analyzed } from '../../spec/types.ts'
import { hostPlatform } from '../../stores/open.ts'
import type { Context, Work } from './binary.ts'
import { writeOutput } from './files.ts'
import { presentOf } from './flags.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { findRunImage } from './run-image.ts'

/** platform.md, "analyzer". */
export async function prepare(context: Context): Promise<Work> {
  const { inputs } = context
  const images = context.resources.use(new Images(context))
  const names = checkedNames([...onlyImage(inputs), ...inputs.list('tag')], images, 'analyzer')
  const analysis = await checkAccess(context, images, names)
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'launch-cache')],
    images,
    async run() {
      const { analyzed, previous } = await analyze(context, images, analysis)
      await restorePreviousSboms(context, previous, inputs.flag('skip-layers'))
      await writeOutput(inputs.path('analyzed'), formatAnalyzed(analyzed))
    },
  }
}

/** What is known before the work begins: every image that is needed can be read, and every one that is made be written. */
export interface Access {
  readonly previous: string
  readonly runImage: { readonly name: string; readonly image: Image }
}

/** platform.md, "analyzer": read and write access. @throws BaleError */
export async function checkAccess(
  context: Context,
  images: Images,
  names: readonly [string, ...string[]],
): Promise<Access> {
  const { inputs, signal } = context
  const previous = inputs.text('previous-image') ?? names[0]
  if (images.mode.kind !== 'daemon') parseReference(previous)
  const destinations = await images.destinations(names)
  const cacheImage = await images.cacheImage()
  const [runImage] = await Promise.all([
    findRunImage(context, images, names[0]),
    ...destinations.map(({ sink, names: own }) => sink.checkWrite(own, signal)),
    cacheImage?.sink.checkWrite(cacheImage.names, signal),
  ])
  return { previous, runImage }
}

/** Looks at the previous image; what comes of it goes to the other phases as analyzed.toml. */
export async function analyze(
  { features, log, signal }: Context,
  images: Images,
  { previous: name, runImage }: Access,
): Promise<{ readonly analyzed: Analyzed; readonly previous?: PreviousImage }> {
  const at = await images.at(name)
  const previous = await readPrevious({ platform: hostPlatform(), previous: at, reporter: log }, signal)
  const analyzed: Analyzed = {
    ...(previous && { image: { reference: images.identify(name, previous.image) }, metadata: previous.metadata }),
    runImage: {
      reference: images.identify(runImage.name, runImage.image),
      image: runImage.name,
      ...(features.targets && { target: targetOfImage(runImage.image) }),
    },
  }
  return { analyzed, ...(previous && { previous }) }
}

/** The SBOM files of the previous image, for restore to put back beside the layers that they describe. */
export async function restorePreviousSboms(
  { inputs, features, log, signal }: Context,
  previous: PreviousImage | undefined,
  skip: boolean,
): Promise<void> {
  const tar = previous === undefined || skip || !features.sbomLayer ? undefined : sbomTarOf(previous, signal)
  if (tar === undefined) return
  const layers = inputs.path('layers')
  const layersDir = { host: layers, image: layers }
  await unpackSboms(tar, join(layers, 'sbom'), { layersDir, what: 'previous image', reporter: log, signal })
}
