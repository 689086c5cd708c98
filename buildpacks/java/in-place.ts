import { mkdir } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { App, type BuildContext, BuildpackError, declaredStart } from '../sdk/index.ts'
import { type Artifact, findArtifact } from './artifact.ts'
import type { BuildTool } from './build-tool.ts'
import { type BuildTools, findScript, unzip } from './image-files.ts'
import { copyInvoker, functionCommand } from './functions.ts'
import { inspectLibraries } from './libraries.ts'
import { requireClass } from './main-class.ts'
import { copyLibraries } from './maven.ts'
import { pomFile } from './pom.ts'
import { makeReproducible } from './reproducible.ts'
import { type ImageFiles, web } from './start.ts'
import { provideTomcat } from './tomcat.ts'

interface Start {
  readonly command: readonly [string, ...string[]]
  /** The number of classes that it needs beside the application's libraries. */
  readonly classes?: number
  readonly options?: readonly string[]
}

/** Keeps the directory as the build leaves it, for commands of the user that start something in it. */
export async function startInPlace(
  context: BuildContext,
  where: string,
  tools: BuildTools,
  tool: BuildTool | undefined,
): Promise<ImageFiles> {
  const { app, env } = context
  await makeReproducible(app.path, tools.start)
  const artifact = (await declaredStart(app, env)) === undefined ? await artifactOf(context, tool) : undefined
  const start = artifact && (await startOf(context, artifact, tools))
  const { components, classes, options } = await inspectLibraries(app.path)
  const shown = start?.command.map(word => word.replaceAll(`${app.path}/`, '')).join(' ')
  return {
    processes: start === undefined ? [] : [web(start.command)],
    slices: [],
    components,
    classes: classes + (start?.classes ?? 0),
    options: [...options, ...(start?.options ?? [])],
    shown: [...(shown === undefined ? [] : [shown]), `what ${where} says`].join(', and '),
  }
}

/**
 * The artifact of the web process, if the user's commands have no such process. These commands may be all that the application is meant
 * to start.
 */
async function artifactOf(context: BuildContext, tool: BuildTool | undefined): Promise<Artifact | undefined> {
  try {
    return await findArtifact(context, tool)
  } catch (error) {
    if (!(error instanceof BuildpackError)) throw error
    context.log.warning(
      `The image has no process web: ${error.message}`,
      'Add a line "web:" to the Procfile if it needs one.',
    )
    return undefined
  }
}

async function startOf(context: BuildContext, artifact: Artifact, tools: BuildTools): Promise<Start> {
  const { app, env } = context
  if (artifact.kind === 'class path') return { command: ['java', '-cp', artifact.paths.join(':'), artifact.main] }
  if (artifact.kind === 'distribution') {
    const { path } = artifact
    const dir = path.replace(/\.zip$/, '')
    if (dir !== path) await unpack(context, tools, path, dir)
    return { command: [join(dir, await findScript(new App(dir), env))] }
  }
  const { path } = artifact.archive
  if (artifact.kind === 'archive') return { command: ['java', '-jar', path] }
  if (artifact.kind === 'war') {
    const dir = join(dirname(path), 'webapp')
    await unpack(context, tools, path, dir)
    return provideTomcat(context, { path: dir, staged: dir }, tools)
  }
  const libraries = await copyLibraries(context, await tools.openMaven(), dirname(path))
  const hasLibraries = await app.hasDirectory(relative(app.path, libraries))
  if (artifact.kind === 'function') {
    const program = await copyInvoker(await tools.openMaven(), join(dirname(path), 'invoker'), tools.temp)
    return { command: functionCommand(program, hasLibraries ? [path, `${libraries}/*`] : [path], artifact.target) }
  }
  await requireClass(artifact.main, artifact.archive, { libraries, pom: pomFile(env) })
  return { command: ['java', '-cp', hasLibraries ? `${path}:${libraries}/*` : path, artifact.main] }
}

async function unpack(context: BuildContext, { jdk }: BuildTools, path: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  await unzip(context, jdk, path, dir)
}
