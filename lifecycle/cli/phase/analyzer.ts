import { join } from 'node:path'
import { inPhase } from '../../errors.ts'
import { type Analysis, type AnalyzeInput, type ImageNaming, analyze, analyzedOf } from '../../phases/analyze.ts'
import { sbomTarOf, unpackSboms } from '../../phases/sbom.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import type { Destination } from '../../stores/open.ts'
import { parseReference } from '../../image/reference.ts'
import type { PhaseCommand } from './binary.ts'
import type { PhaseContext } from './context.ts'
import { writeOutput } from './files.ts'
import { presentOf } from './flags.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { runImageRequest } from './run-toml.ts'

/** platform.md, "analyzer". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, features, signal } = context
  const images = context.resources.use(new Images(context))
  const names = checkedNames([...onlyImage(inputs), ...inputs.list('tag')], images, 'analyzer', 'digests too')
  // Images are read before root's rights and credentials are given up.
  const input = await analyzeInput(context, images, names)
  const analysis = await inPhase('analyze', () => analyze(input, signal))
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'launch-cache')],
    images,
    async run() {
      if (!inputs.flag('skip-layers')) await restorePreviousSboms(context, analysis)
      await writeOutput(inputs.path('analyzed'), formatAnalyzed(analyzedOf(analysis, input.naming, features)))
    },
  }
}

/** Makes the input of analysis from the flags of analyzer and creator. */
export async function analyzeInput(
  context: PhaseContext,
  images: Images,
  names: readonly [string, ...string[]],
): Promise<
  AnalyzeInput & { readonly naming: ImageNaming; readonly destinations: readonly [Destination, ...Destination[]] }
> {
  const { inputs, log } = context
  const previous = inputs.text('previous-image') ?? names[0]
  return {
    platform: images.platform,
    previous: await images.at(previous),
    runImage: await runImageRequest(context, name => images.at(name)),
    registry: parseReference(names[0]).registry,
    destinations: await images.destinations(names),
    cacheImage: await images.cacheImage(),
    naming: { previous, identify: (name, image) => images.identify(name, image) },
    reporter: log,
  }
}

/** Unpacks the SBOM files of the previous image. Restore places them beside the layers that they describe. */
async function restorePreviousSboms(
  { inputs, features, log, signal }: PhaseContext,
  { previous }: Analysis,
): Promise<void> {
  const tar = previous === undefined || !features.sbomLayer ? undefined : sbomTarOf(previous, signal)
  if (tar === undefined) return
  const layers = inputs.path('layers')
  const layersDir = { host: layers, image: layers }
  await unpackSboms(tar, join(layers, 'sbom'), { layersDir, what: 'previous image', reporter: log, signal })
}
