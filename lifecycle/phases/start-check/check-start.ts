import { lstat } from 'node:fs/promises'
import { basename, join, posix } from 'node:path'
import { BaleError } from '../../errors.ts'
import { directoryState, namesIn } from '../../files/directories.ts'
import { readUntrusted } from '../../files/read.ts'
import type { Image } from '../../image/image.ts'
import { readEnvDir } from '../env-dir.ts'
import type { BuildOutput } from '../export.ts'
import { readLayers } from '../layers-dir.ts'
import { applyEnvFiles } from '../../spec/env.ts'
import { escapeId } from '../../spec/ids.ts'
import { parseBuildMetadata } from '../../spec/metadata.ts'
import type { BuildMetadata } from '../../spec/types.ts'
import { type Look, lookInDirectory, lookInIndex, programIndex, resolvePath } from './image-files.ts'
import { certainPrograms } from './shell-programs.ts'

type BuildProcess = BuildMetadata['processes'][number]

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const shells = new Set(['bash', 'sh', 'dash', '/bin/bash', '/bin/sh', '/usr/bin/bash', '/usr/bin/sh', '/usr/bin/dash'])

/**
 * Checks that the image to be exported contains the programs that its processes start: in a layer, in the
 * application, or in the run image. Doubtful cases pass.
 * @param options.indexDir the directory for indexes of run images
 * @throws BaleError 'buildpack-failed', which names each process and its missing program
 */
export async function checkStart(
  output: BuildOutput,
  runImage: Image,
  { indexDir, signal }: { readonly indexDir?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const where = join(output.layersDir.host, 'config', 'metadata.toml')
  const content = await readUntrusted(where)
  if (content === undefined) return
  const { processes } = parseBuildMetadata(content, where)
  if (processes.length === 0) return
  const layers = await launchLayers(output, processes)
  // Such an exec.d program may change PATH at launch.
  if (layers.some(({ setsPath }) => setsPath)) return
  const problemsIn = (inRunImage: Look) => {
    const look = lookEverywhere(output, layers, inRunImage)
    return processes.flatMap(process => {
      return problemOf(process, pathOf(process.type, layers, runImage), output.appDir.image, look) ?? []
    })
  }
  // A run image in a registry is read only if a program is nowhere else. It is assumed to have a shell.
  const isRemote = runImage.layers.some(({ repository }) => repository !== undefined)
  const onlyShells: Look = path => ({ type: shells.has(path) ? 'program' : 'absent' })
  if (isRemote && problemsIn(onlyShells).length === 0) return
  const index = await programIndex(runImage, indexDir, signal)
  if (index === undefined) return
  const problems = problemsIn(lookInIndex(index))
  const [first, ...others] = problems
  if (first === undefined) return
  throw new BaleError('buildpack-failed', [first.message, ...others.map(p => `${p.where}: ${p.message}`)].join('\n'), {
    where: first.where,
    fix: first.fix,
  })
}

/** A launch layer, and its effect in the launcher. */
interface LaunchLayer {
  /** The path in the image. */
  readonly dir: string
  readonly buildpackId: string
  /** Whether its files are here; otherwise they are in the previous image. */
  readonly exists: boolean
  readonly hasBin: boolean
  readonly env: EnvFiles
  /** The files of `env.launch/<type>`. */
  readonly envOfProcess: Readonly<Record<string, EnvFiles>>
  /** It has an exec.d program that may set PATH. */
  readonly setsPath: boolean
}

type EnvFiles = Awaited<ReturnType<typeof readEnvDir>>

async function launchLayers(
  { layersDir, group }: BuildOutput,
  processes: readonly BuildProcess[],
): Promise<LaunchLayer[]> {
  const found: LaunchLayer[] = []
  for (const { id } of group) {
    for (const layer of await readLayers(layersDir.host, id)) {
      if (!layer.types.launch) continue
      const perProcess = processes.map(
        async ({ type }) => [type, await readEnvDir(join(layer.dir, 'env.launch', type))] as const,
      )
      found.push({
        dir: posix.join(layersDir.image, escapeId(id), layer.name),
        buildpackId: id,
        exists: layer.exists,
        // The contents of a layer in the previous image are unknown: any program may be there.
        hasBin: !layer.exists || (await directoryState(join(layer.dir, 'bin'))) === 'directory',
        env: layer.exists
          ? [...(await readEnvDir(join(layer.dir, 'env'))), ...(await readEnvDir(join(layer.dir, 'env.launch')))]
          : [],
        envOfProcess: layer.exists ? Object.fromEntries(await Promise.all(perProcess)) : {},
        setsPath: layer.exists && (await maySetPath(join(layer.dir, 'exec.d'), processes)),
      })
    }
  }
  return found
}

/** A program that sets PATH contains its name. */
async function maySetPath(dir: string, processes: readonly BuildProcess[]): Promise<boolean> {
  for (const place of [dir, ...processes.map(({ type }) => join(dir, type))]) {
    for (const name of await namesIn(place)) {
      const file = join(place, name)
      if ((await lstat(file)).isDirectory()) continue
      const content = await readUntrusted(file).catch(() => undefined)
      if (content === undefined || Buffer.from(content).includes('PATH')) return true
    }
  }
  return false
}

/** Computes PATH as the launcher does for a process (buildpack.md, "Layer Paths"): layers of later buildpacks come first. */
function pathOf(type: string, layers: readonly LaunchLayer[], { config }: Image): string[] {
  const given = config.config?.Env?.find(entry => entry.startsWith('PATH='))?.slice('PATH='.length)
  let path = given ?? defaultPath
  for (const id of new Set(layers.map(({ buildpackId }) => buildpackId))) {
    const own = layers.filter(({ buildpackId }) => buildpackId === id)
    path = [...own.flatMap(({ dir, hasBin }) => (hasBin ? [`${dir}/bin`] : [])), path].join(':')
    for (const { env, envOfProcess } of own) {
      for (const files of [env, envOfProcess[type] ?? []]) {
        const ofPath = files.filter(({ name }) => /^PATH(\.|$)/.test(name))
        path = applyEnvFiles({ PATH: path }, ofPath, 'override')['PATH'] ?? ''
      }
    }
  }
  return path.split(':').filter(directory => directory.startsWith('/'))
}

/** A view of the future image: the layers and the application over the run image. */
function lookEverywhere({ layersDir, appDir }: BuildOutput, layers: readonly LaunchLayer[], runImage: Look): Look {
  const isBelow = (path: string, dir: string) => path === dir || path.startsWith(`${dir}/`)
  const inApp = lookInDirectory(appDir)
  const inLayers = lookInDirectory(layersDir)
  return path => {
    if (isBelow(path, appDir.image)) return inApp(path)
    if (!isBelow(path, layersDir.image)) return runImage(path)
    const layer = layers.find(({ dir }) => isBelow(path, dir))
    // A layer reused from the previous image has no files here.
    if (layer) return layer.exists ? inLayers(path) : { type: 'unknown' }
    return { type: layers.some(({ dir }) => dir.startsWith(`${path}/`)) ? 'directory' : 'absent' }
  }
}

interface Problem {
  readonly message: string
  readonly where: string
  readonly fix: string
}

function problemOf(process: BuildProcess, path: readonly string[], appDir: string, look: Look): Problem | undefined {
  // Without `direct`, a shell starts it, after profile scripts that may change anything.
  if (!process.direct) return undefined
  const words = [...process.command, ...process.args]
  const directory = posix.resolve(appDir, process.workingDir ?? '.')
  const programs = [{ program: words[0] as string, moved: false }]
  const isScript = shells.has(words[0] ?? '') && words[1] === '-c' && words[2] !== undefined
  if (isScript) programs.push(...certainPrograms(words[2] as string))
  for (const { program, moved } of programs) {
    if (program === '' || (moved && program.includes('/') && !program.startsWith('/'))) continue
    const problem = lookUp(program, path, directory, look)
    if (problem) return { ...problem, where: `process ${process.type} (${process.buildpackId})` }
  }
  return undefined
}

/** Returns the problem with a program; undefined if the program exists or may exist. */
function lookUp(
  program: string,
  path: readonly string[],
  directory: string,
  look: Look,
): Omit<Problem, 'where'> | undefined {
  const name = JSON.stringify(program)
  const isPath = program.includes('/')
  const places = isPath ? [posix.resolve(directory, program)] : path.map(dir => posix.join(dir, program))
  const found = places.map(place => resolvePath(place, look))
  if (found.some(type => type === 'program' || type === 'unknown')) return undefined
  if (found.includes('file')) {
    return {
      message: `the program ${name} that it starts is not executable`,
      fix: `run: chmod +x ${basename(program)}; and if the source is in git: git update-index --chmod=+x`,
    }
  }
  const fix = isPath
    ? 'correct the command, or check that the build makes the file, or that the source has it and does not exclude it'
    : `correct the command, or add a dependency or a buildpack that installs ${basename(program)}`
  const where = isPath
    ? `there is no ${places[0] as string}`
    : `none of these directories contains it: ${path.join(', ')}`
  return { message: `the program ${name} that it starts is not in the image: ${where}`, fix }
}
