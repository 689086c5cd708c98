import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { parseReference } from '../image/reference.ts'
import { directoryState } from '../files/directories.ts'
import { readUntrusted } from '../files/read.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { checkBuildDockerfile, readRunDockerfile, type RunDockerfile } from '../spec/dockerfile.ts'
import { parseExtendConfig } from '../spec/extend-config.ts'
import { formatBuildpackPlan, planFor } from '../spec/plan.ts'
import type { Analyzed, GroupElement, PlanProvider, ResolvedPlan, RunDocument, Target } from '../spec/types.ts'
import { type EnvSources, environmentOf } from './buildpack-environment.ts'
import { type Buildpack, type BuildpacksDir, optionalExecutableOf } from './buildpacks-dir.ts'
import { contexts, keepOutput, placesOf } from './generated-dir.ts'
import { runExecutable } from './run-executable.ts'
import { runImageEntry } from './run-image.ts'
import { findSupervisor, supervisionOf } from './supervision.ts'

export interface GenerateInput {
  readonly appDir: string
  readonly layersDir: string
  readonly platformDir: string
  /** The directory for Dockerfiles, which `clearGenerated` has emptied. */
  readonly generatedDir: string
  readonly extensions: BuildpacksDir
  readonly buildpacks: BuildpacksDir
  readonly group: readonly GroupElement[]
  readonly plan: ResolvedPlan
  readonly analyzed: Analyzed
  readonly run: RunDocument
  readonly target: Target
  readonly execEnv: string
  readonly env: EnvSources
  readonly features: PlatformFeatures
  readonly reporter: Reporter
  readonly supervisor?: string | undefined
}

export interface Generated {
  /** With the run image that the Dockerfiles select. */
  readonly analyzed: Analyzed
  /** The part of the plan for the buildpacks. */
  readonly plan: ResolvedPlan
}

/**
 * Runs bin/generate of each image extension, in order, keeps the Dockerfiles that they write in `<generated>`, and selects the
 * run image (image_extension.md, "Phase: Generation"; platform.md, "detector").
 * @throws BaleError 'generate-failed' when a bin/generate exits non-zero, 'input' when its output is invalid
 */
export async function generate(input: GenerateInput, signal?: AbortSignal): Promise<Generated> {
  const { group, generatedDir, features } = input
  const scratch = await mkdtemp(join(tmpdir(), 'bale-generate-'))
  const supervisor = input.supervisor && (await findSupervisor(input.supervisor, input.reporter))
  const runFiles: RunFile[] = []
  let buildFiles = 0
  try {
    for (const [index, element] of group.entries()) {
      const extension = await input.extensions.find(element.id, element.version)
      const output = await outputOf(extension, { ...input, supervisor }, join(scratch, String(index)), signal)
      const { run, build } = await readOutput(extension, output, input)
      const places = placesOf(generatedDir, element.id, features.extensionContexts)
      if (run !== undefined) runFiles.push({ ...run, path: places.run })
      if (build) buildFiles++
      await keepOutput(output, places, { run: run !== undefined, build, where: `output of ${element.id}` })
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const runImage = await selectRunImage(runFiles, input)
  return {
    analyzed: {
      ...input.analyzed,
      ...(runImage && { runImage }),
      buildImage: { ...input.analyzed.buildImage, extend: buildFiles > 0 },
    },
    plan: withoutProvided(input.plan),
  }
}

/** Removes the entries that extensions provide: an extension meets all its requirements (image_extension.md, "Buildpack Plan"). */
const withoutProvided = ({ entries }: ResolvedPlan): ResolvedPlan => ({
  entries: entries.filter(({ providers }) => !providers.some(({ extension }) => extension === true)),
})

/** Returns the directory with the extension's output: written by bin/generate, or part of the extension. */
async function outputOf(
  extension: Buildpack,
  input: GenerateInput,
  scratch: string,
  signal?: AbortSignal,
): Promise<string> {
  const { dir } = extension
  const { id, version } = extension.descriptor
  const file = await optionalExecutableOf(extension, 'generate')
  const output = join(scratch, 'output')
  const planFile = join(scratch, 'plan.toml')
  await mkdir(output, { recursive: true })
  if (file === undefined) {
    const prepared = join(dir, 'generate')
    return (await directoryState(prepared)) === 'directory' ? prepared : output
  }
  const provider: PlanProvider = { id, version, extension: true }
  await writeFile(planFile, formatBuildpackPlan(planFor(input.plan, provider)))
  const env = environmentOf(extension, input, {
    CNB_OUTPUT_DIR: output,
    CNB_PLATFORM_DIR: input.platformDir,
    CNB_BP_PLAN_PATH: planFile,
  })
  const exitCode = await runExecutable(
    {
      file,
      args: [output, input.platformDir, planFile],
      env,
      workingDir: input.appDir,
      // bin/generate may not write to the application (image_extension.md, "Generation").
      supervision: supervisionOf(
        { ...input, extensionsDir: input.extensions.dir, isAppReadOnly: true },
        input.supervisor,
        env['HOME'],
      ),
      onLine: (stream, text) => input.reporter.event({ type: 'output', stream, text }),
    },
    signal,
  )
  if (exitCode === 0) return output
  throw new BaleError('generate-failed', `${id}@${version} failed: bin/generate exited with status ${exitCode}`, {
    fix: 'see its output above',
  })
}

interface Output {
  readonly run: RunDockerfile | undefined
  readonly build: boolean
}

/** Checks the output of the extension. Keeps nothing of an invalid output. */
async function readOutput(
  { descriptor }: Buildpack,
  dir: string,
  { reporter, features }: GenerateInput,
): Promise<Output> {
  const warn = (file: string, unusual: readonly string[]): void => {
    if (unusual.length === 0) return
    const text = `${file} of ${descriptor.id} has ${unusual.join(', ')}, which image extensions should not use`
    reporter.event({ type: 'warning', text, fix: 'see image_extension.md, "Dockerfile Requirements"' })
  }
  const read = async (name: string): Promise<string | undefined> => {
    const content = await readUntrusted(join(dir, name), dir)
    return content === undefined ? undefined : new TextDecoder().decode(content)
  }
  const where = (name: string): string => `${name} of ${descriptor.id}@${descriptor.version}`
  const build = await read('build.Dockerfile')
  if (build !== undefined) warn('build.Dockerfile', checkBuildDockerfile(build, where('build.Dockerfile')))
  const text = await read('run.Dockerfile')
  const run = text === undefined ? undefined : readRunDockerfile(text, where('run.Dockerfile'))
  if (run !== undefined) warn('run.Dockerfile', run.unusual)
  if (run?.image !== undefined) checkName(run.image, `${where('run.Dockerfile')}:${run.line}`)
  if (run !== undefined && !features.runExtensions && (run.image === undefined || run.extends))
    throw new BaleError('input', 'before Platform API 0.12, a run.Dockerfile can only contain FROM', {
      where: where('run.Dockerfile'),
      fix: 'build with a platform of API 0.12 or newer',
    })
  const config = await read('extend-config.toml')
  if (config !== undefined) parseExtendConfig(config, where('extend-config.toml'))
  await checkContexts(dir, where('context'))
  return { run, build: build !== undefined }
}

function checkName(image: string, where: string): void {
  try {
    parseReference(image)
  } catch (cause) {
    throw new BaleError('input', `FROM does not name an image: ${(cause as Error).message}`, { where, cause })
  }
}

async function checkContexts(dir: string, where: string): Promise<void> {
  const states = await Promise.all(contexts.map(name => directoryState(join(dir, name))))
  const [common, ...own] = states.map(state => state === 'directory')
  if (common !== true || !own.includes(true)) return
  throw new BaleError('input', 'there is both a folder context and a folder context.build or context.run', {
    where,
    fix: 'keep either context for both images, or one folder for each',
  })
}

interface RunFile extends RunDockerfile {
  readonly path: string
}

/** Returns the last image that replaces the run image. Earlier Dockerfiles then have no effect. */
async function selectRunImage(
  files: readonly RunFile[],
  { analyzed, run, features, reporter }: GenerateInput,
): Promise<Analyzed['runImage']> {
  if (files.length === 0) return undefined
  const last = files.findLastIndex(({ image }) => image !== undefined)
  const selected = files[last]
  if (selected?.image === undefined) return { reference: '', ...analyzed.runImage, extend: true }
  for (const { path } of files.slice(0, last)) await rename(path, `${path}.ignore`)
  const { image } = selected
  if (run.images.length > 0 && runImageEntry(run, image) === undefined)
    reporter.event({
      type: 'warning',
      text: `an image extension selects the run image ${image}, which is not in run.toml`,
      fix: 'add it to run.toml, with its mirrors',
    })
  return {
    // With targets, restorer resolves the name.
    reference: features.targets ? '' : image,
    image,
    ...((selected.extends || last < files.length - 1) && { extend: true }),
  }
}
