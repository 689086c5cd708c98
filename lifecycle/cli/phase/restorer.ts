import { BaleError } from '../../errors.ts'
import { targetOfImage } from '../../phases/analyze.ts'
import { readUntrusted } from '../../files/read.ts'
import { restore } from '../../phases/restore.ts'
import { type RunImageNames, runImageEntry, selectRunImage } from '../../phases/run-image.ts'
import { formatAnalyzed, parseAnalyzed } from '../../spec/analyzed.ts'
import type { Analyzed } from '../../spec/types.ts'
import type { Image } from '../../image/image.ts'
import { atDigest, formatReference, parseReference } from '../../image/reference.ts'
import type { PhaseContext } from './context.ts'
import { type BaseImage, keepBaseImages } from './extend/base-image.ts'
import type { PhaseCommand } from './binary.ts'
import { writeOutput } from './files.ts'
import { presentOf } from './flags.ts'
import { readGroup } from './group.ts'
import { Images } from './images.ts'
import { readRunDocument } from './run-toml.ts'

/** platform.md, "restorer". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, features, log, signal } = context
  const images = context.resources.use(new Images(context))
  const { buildpacks: group } = await readGroup(context)
  const path = inputs.path('analyzed')
  const content = await readUntrusted(path)
  const analyzed = content === undefined ? {} : parseAnalyzed(content, path)
  await images.checkCache()
  const withTarget = features.targets ? await checkRunImage(context, images, analyzed) : analyzed
  const build = await buildImage(context, images, analyzed)
  const checked =
    build === undefined ? withTarget : { ...withTarget, buildImage: { reference: build.reference, extend: true } }
  const run = checked.runImage?.extend === true ? await runImage(images, checked.runImage.reference, signal) : undefined
  const toExtend = [build, run].filter(image => image !== undefined)
  const kanikoDir = context.io.kanikoDir ?? '/kaniko'
  const layers = inputs.path('layers')
  return {
    owns: [layers, ...presentOf(inputs, 'cache-dir'), ...(toExtend.length === 0 ? [] : [kanikoDir])],
    images,
    async run() {
      if (toExtend.length > 0) await keepBaseImages(kanikoDir, toExtend)
      const cache = context.resources.use(await images.cache())
      await restore(
        {
          layersDir: { host: layers, image: layers },
          group,
          previous: analyzed.metadata && { metadata: analyzed.metadata },
          cache,
          skipLayers: inputs.flag('skip-layers'),
          features,
          reporter: log,
        },
        signal,
      )
      await cache?.saveRecords()
      if (checked !== analyzed) await writeOutput(path, formatAnalyzed(checked))
    },
  }
}

/** Returns the build image if Dockerfiles will be applied to it: extender needs its config, and has no credentials. */
async function buildImage(
  { inputs, log, signal }: PhaseContext,
  images: Images,
  { buildImage: asked }: Analyzed,
): Promise<BaseImage | undefined> {
  const name = inputs.text('build-image')
  if (asked?.extend !== true) {
    // Tekton's task names it in every build.
    if (name !== undefined)
      log.event({ type: 'note', level: 'debug', text: '-build-image is ignored: no image extension extends it' })
    return undefined
  }
  if (name === undefined) return undefined
  const image = await images.inRegistry(name, signal)
  if (image === undefined)
    throw new BaleError('failed', `the build image ${name} does not exist`, { where: '-build-image' })
  const reference = formatReference(atDigest(parseReference(name), image.digest))
  return { image, reference }
}

/** Returns the run image if Dockerfiles will be applied to it. */
async function runImage(images: Images, reference: string, signal: AbortSignal): Promise<BaseImage> {
  const image = await images.identified(reference, signal)
  if (image !== undefined) return { image, reference }
  throw new BaleError('failed', `the run image ${reference} does not exist`)
}

/**
 * Checks the run image that analyze chose: its target must be known and, from 0.14 on, the image readable from here;
 * otherwise a mirror is used. Does nothing in a container without run.toml, or if run.toml does not list this image.
 */
async function checkRunImage(context: PhaseContext, images: Images, analyzed: Analyzed): Promise<Analyzed> {
  const { features, signal } = context
  const { runImage } = analyzed
  const name = runImage?.image ?? runImage?.reference
  if (runImage === undefined || !name) return analyzed
  // Cleared where an image extension selected another image.
  const isNew = runImage.reference === ''
  const asks = features.restorerChecksRunImage || isNew
  const entry = asks ? runImageEntry(await readRunDocument(context), name) : undefined
  if (entry === undefined && !isNew && runImage.target !== undefined) return analyzed
  const reference = isNew ? name : runImage.reference
  const found =
    entry === undefined
      ? { name, image: await images.identified(reference, signal) }
      : await selectMirror(context, images, {
          names: { image: name, mirrors: [entry.image, ...entry.mirrors] },
          reference,
        })
  if (found.image === undefined) throw new BaleError('failed', `the run image ${reference} does not exist`)
  const isSame = found.name === name && !isNew
  if (isSame && runImage.target !== undefined) return analyzed
  const moved = isSame ? {} : { image: found.name, reference: images.identify(found.name, found.image) }
  return { ...analyzed, runImage: { ...runImage, ...moved, target: targetOfImage(found.image) } }
}

async function selectMirror(
  { log, signal }: PhaseContext,
  images: Images,
  { names, reference }: { readonly names: RunImageNames; readonly reference: string },
): Promise<{ readonly name: string; readonly image: Image }> {
  const read = async (name: string) => {
    const image = await images.identified(name === names.image ? reference : name, signal)
    return image === undefined ? { image, place: 'its registry' } : { image }
  }
  const { registry } = parseReference(names.image)
  const { name, found } = await selectRunImage({ names, registry, read, reporter: log }, signal)
  return { name, image: found.image }
}
