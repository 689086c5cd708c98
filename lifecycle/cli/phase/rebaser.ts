import { BaleError, inPhase } from '../../errors.ts'
import { type AppImage, type NewRunImage, findRunImage, rebase } from '../../phases/rebase.ts'
import { parseReference } from '../../image/reference.ts'
import type { PhaseCommand } from './binary.ts'
import type { PhaseContext } from './context.ts'
import { Images, checkedNames, portableReference } from './images.ts'
import { reportPublished } from './report.ts'

/** platform.md, "rebaser". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs } = context
  const images = context.resources.use(new Images(context))
  const names = checkedNames(inputs.positional, images, 'rebaser')
  const app = await inPhase('rebase', () => openApp(context, images, inputs.text('previous-image') ?? names[0]))
  const runImage = await openRunImage(context, images, app)
  return { images, run: () => rebaseApp(context, images, { names, app, runImage }) }
}

/** @throws BaleError 'failed' if it does not exist */
async function openApp({ signal }: PhaseContext, images: Images, name: string): Promise<AppImage> {
  const { source, name: known } = await images.at(name)
  const image = await source.pull(known, images.platform, signal)
  if (image !== undefined)
    return { name, image, ...(images.mode.kind === 'registry' && { registry: parseReference(name).registry }) }
  throw new BaleError('failed', `there is no image ${name} to rebase in ${source.description}`)
}

async function openRunImage(
  { inputs, log, signal }: PhaseContext,
  images: Images,
  app: AppImage,
): Promise<NewRunImage> {
  const wanted = inputs.text('run-image') ?? inputs.text('image')
  const find = async (...[name, platform]: Parameters<Parameters<typeof findRunImage>[0]['find']>) => {
    const { source, name: known } = await images.at(name)
    const image = await source.pull(known, platform, signal)
    return image && { name, image, reference: portableReference(name, image, images) }
  }
  return findRunImage({ app, wanted, find, reporter: log }, signal)
}

async function rebaseApp(
  context: PhaseContext,
  images: Images,
  { names, app, runImage }: { names: readonly string[]; app: AppImage; runImage: NewRunImage },
): Promise<void> {
  const { inputs, features, log, signal } = context
  const [destination, ...others] = await images.destinations(names)
  const force = features.forceRebase && inputs.flag('force')
  const rebased = await rebase({ app, runImage, destination, force, features, reporter: log }, signal)
  await reportPublished(context, images, rebased, { others, names })
}
