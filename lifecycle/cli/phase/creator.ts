import { BuildCache } from '../../caches/build-cache.ts'
import { BaleError } from '../../errors.ts'
import type { Group } from '../../spec/types.ts'
import { runPipeline } from '../../pipeline.ts'
import type { ImageSettings } from '../../phases/export.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import { analyzeInput } from './analyzer.ts'
import type { PhaseCommand } from './binary.ts'
import { containerRunner } from './container-runner.ts'
import type { PhaseContext } from './context.ts'
import { checkOutput, describeRunImage, imageSettings } from './exporter.ts'
import { writeOutput } from './files.ts'
import { presentOf } from './flags.ts'
import { readGroup } from './group.ts'
import { Images, checkedNames, onlyImage } from './images.ts'
import { cnbUser } from './ownership.ts'
import { reportPublished } from './report.ts'

/**
 * platform.md, "creator": all phases in one, with analysis before detection, as platforms expect. This process holds the
 * credentials and runs no buildpack. Detect and build are separate processes, which run as the buildpacks' user and inherit
 * only the variables that a buildpack may see.
 */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, io } = context
  if (io.user.uid === 0 && !inputs.number('uid'))
    throw new BaleError('failed', 'refusing to run buildpacks as root', {
      where: '-uid',
      fix: 'give the user and group of the build image: -uid and -gid, or CNB_USER_ID and CNB_GROUP_ID',
    })
  const images = context.resources.use(new Images(context))
  const names = checkedNames([...onlyImage(inputs), ...inputs.list('tag')], images, 'creator')
  const settings = await imageSettings(context)
  return {
    owns: [inputs.path('layers'), ...presentOf(inputs, 'cache-dir', 'launch-cache')],
    images,
    run: () => create(context, images, { names, settings }),
  }
}

async function create(
  context: PhaseContext,
  images: Images,
  { names, settings }: { readonly names: readonly [string, ...string[]]; readonly settings: ImageSettings },
): Promise<void> {
  const { inputs, features, signal, resources, log: reporter } = context
  const layers = inputs.path('layers')
  const app = inputs.path('app')
  // creator's flag is -skip-restore, but both names have an environment variable.
  const skipLayers = inputs.flag('skip-restore') || inputs.flag('skip-layers')
  const analysis = await analyzeInput(context, images, names)
  const [, ...others] = analysis.destinations
  const result = await runPipeline(
    {
      images: { ...analysis, describe: found => describeRunImage(context, images, found.name, found.image) },
      files: {
        layersDir: { host: layers, image: layers },
        appDir: { host: app, image: app },
        owner: cnbUser(context),
        writeAnalyzed: analyzed => writeOutput(inputs.path('analyzed'), formatAnalyzed(analyzed)),
        readGroup: () => readBuildpacks(context),
      },
      runner: containerRunner(context, reporter),
      cache: resources.use((await images.cache()) ?? new BuildCache({}, reporter)),
      reuse: { previous: true, layers: !skipLayers },
      ...(context.io.user.uid === 0 && { restoredOwner: cnbUser(context) }),
      settings,
      checkOutput: (output, image) =>
        checkOutput(context, { images, destinations: analysis.destinations, settings }, output, image),
      features,
      reporter,
    },
    signal,
  )
  await reportPublished(context, images, result, { others, names })
}

/** platform.md, "creator": it does not perform image extension. */
async function readBuildpacks(context: PhaseContext): Promise<Group> {
  const group = await readGroup(context)
  const { extensions } = group
  if (extensions.length === 0) return group
  const names = extensions.map(({ id }) => id).join(', ')
  throw new BaleError('input', `creator cannot extend images, and the order has the image extensions ${names}`, {
    where: context.inputs.path('group'),
    fix: 'run analyzer, detector, restorer, extender and exporter instead; pack does so without --trust-builder',
  })
}
