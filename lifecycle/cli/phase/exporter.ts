import { join } from 'node:path'
import { settleAll } from '../../concurrency.ts'
import { BaleError } from '../../errors.ts'
import { type ExportInput, type ImageSettings, exportImage } from '../../phases/export.ts'
import type { Image } from '../../image/image.ts'
import { runImageMetadata } from '../../phases/analyze.ts'
import { refuseCredentials } from '../../phases/registry-credentials.ts'
import { extenderOfPlatform, readExtendedImage } from '../../phases/extended-image.ts'
import type { Destination } from '../../stores/open.ts'
import { checkStart } from '../../phases/start-check/check-start.ts'
import { readTrusted, readUntrusted } from '../../files/read.ts'
import { runImageEntry } from '../../phases/run-image.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { execEnvOf } from '../../spec/exec-env.ts'
import { parseProjectMetadata } from '../../spec/project.ts'
import type { Analyzed, RunImageMetadata } from '../../spec/types.ts'
import { lifecycleVersion } from '../../version.ts'
import type { PhaseCommand } from './binary.ts'
import type { PhaseContext } from './context.ts'
import { readRequired } from './files.ts'
import { presentOf } from './flags.ts'
import { readGroup } from './group.ts'
import { Images, checkedNames, portableReference } from './images.ts'
import { cnbUser } from './ownership.ts'
import { reportPublished } from './report.ts'
import { readRunDocument } from './run-toml.ts'

/** platform.md, "exporter". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs } = context
  const stray = (['image', 'run-image'] as const).find(name => inputs.given(name))
  if (stray !== undefined)
    throw new BaleError('arguments', `-${stray} is not supported`, {
      fix: 'give the run image to analyzer: exporter reads it from analyzed.toml',
    })
  const images = context.resources.use(new Images(context))
  const names = checkedNames(inputs.positional, images, 'exporter')
  const path = inputs.path('analyzed')
  const analyzed = parseAnalyzed(await readRequired(readUntrusted, path), path)
  const { buildpacks: group } = await readGroup(context)
  await images.checkCache()
  const { extended, ...parts } = await openImages(context, images, analyzed)
  const settings = await imageSettings(context)
  return {
    owns: presentOf(inputs, 'cache-dir', 'launch-cache'),
    images,
    async run() {
      const { features, log, signal } = context
      const [layers, app] = [inputs.path('layers'), inputs.path('app')]
      const output = {
        layersDir: { host: layers, image: layers },
        appDir: { host: app, image: app },
        group,
        owner: cnbUser(context),
        extended,
      }
      const [destination, ...others] = await images.destinations(names)
      const opened = { images, destinations: [destination, ...others], settings }
      await checkOutput(context, opened, output, parts.runImage.image)
      const exported = await exportImage(
        {
          output,
          ...parts,
          destination,
          cache: context.resources.use(await images.cache()),
          settings,
          features,
          reporter: log,
        },
        signal,
      )
      await reportPublished(context, images, exported, { others, names })
    },
  }
}

/** The checks before an image is made. @throws BaleError for a secret in it, or a process that cannot start */
export async function checkOutput(
  { inputs, secrets, signal }: PhaseContext,
  {
    images,
    destinations,
    settings,
  }: { readonly images: Images; readonly destinations: readonly Destination[]; readonly settings: ImageSettings },
  output: ExportInput['output'],
  runImage: Image,
): Promise<void> {
  await secrets.refuseIn(output, settings, signal)
  await refuseCredentials(images.credentials, destinations, output, { settings }, signal)
  if (inputs.flag('check-start')) await checkStart(output, runImage, { signal })
}

type Parts = Pick<ExportInput, 'runImage' | 'previous'> & Pick<ExportInput['output'], 'extended'>

/** Opens the images that analyze found. @throws BaleError if the run image no longer exists */
async function openImages({ signal, ...context }: PhaseContext, images: Images, analyzed: Analyzed): Promise<Parts> {
  const { image, metadata, runImage } = analyzed
  if (runImage === undefined || runImage.reference === '')
    throw new BaleError('input', 'it does not name a run image', {
      where: context.inputs.path('analyzed'),
      fix: 'run analyzer before exporter',
    })
  const [opened, previous] = await settleAll([
    images.identified(runImage.reference, signal),
    image === undefined ? undefined : images.identified(image.reference, signal),
  ])
  if (opened === undefined) throw new BaleError('failed', `the run image ${runImage.reference} does not exist`)
  const dir = join(context.inputs.path('extended'), 'run')
  const extended = runImage.extend === true ? await readExtendedImage(dir, opened, extenderOfPlatform) : opened
  return {
    runImage: {
      image: extended,
      metadata: await describeRunImage({ signal, ...context }, images, runImage.image ?? runImage.reference, opened),
    },
    ...(extended !== opened && { extended: { base: opened, image: extended } }),
    ...(previous && metadata && { previous: { image: previous, metadata } }),
  }
}

/**
 * Makes the run image's record in the app image, with the names from run.toml if it lists the image (platform.md, "Run Image
 * Resolution").
 */
export async function describeRunImage(
  context: PhaseContext,
  images: Images,
  name: string,
  image: Parts['runImage']['image'],
): Promise<RunImageMetadata> {
  const run = await readRunDocument(context)
  const entry = runImageEntry(run, name) ?? run.images[0] ?? { image: name, mirrors: [] }
  return runImageMetadata(image, entry.image, entry.mirrors, portableReference(name, image, images))
}

/** Makes the image settings from the flags of exporter and creator. */
export async function imageSettings(context: PhaseContext): Promise<ImageSettings> {
  const { inputs, env, features } = context
  const projectPath = inputs.path('project-metadata')
  const project = await readTrusted(projectPath)
  return {
    launcher: { path: inputs.path('launcher'), version: lifecycleVersion, sboms: inputs.path('launcher-sbom') },
    defaultProcess: inputs.text('process-type'),
    labels: inputs.pairs('label'),
    annotations: inputs.pairs('annotation'),
    project: project === undefined ? {} : parseProjectMetadata(project, projectPath),
    execEnv: features.execEnv ? execEnvOf(env['CNB_EXEC_ENV']) : undefined,
    createdEpoch: features.sourceDateEpoch ? sourceDateEpoch(context) : undefined,
  }
}

/** Parses seconds since 1970, within the dates that a config can hold. Warns about any other value, as other lifecycles do. */
function sourceDateEpoch({ env, log }: PhaseContext): number | undefined {
  const value = env['SOURCE_DATE_EPOCH']
  if (value === undefined || value === '') return undefined
  // The last second of the year 9999, the latest in RFC 3339.
  if (/^\d{1,12}$/.test(value) && Number(value) <= 253_402_300_799) return Number(value)
  log.warn(`SOURCE_DATE_EPOCH is ignored: ${JSON.stringify(value)} is not a number of seconds`)
  return undefined
}
