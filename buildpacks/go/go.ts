import { mkdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import {
  type BuildContext,
  buildPlan,
  type BuildResult,
  BuildpackError,
  byDefault,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  isStartDeclared,
  type LaunchProcess,
  type Layer,
  linkPrograms,
  needsNothing,
  pass,
  programProcesses,
  provideProgramLayer,
  removeSources,
  shellProcess,
  subcommandArguments,
  warnOfListening,
  withTempDir,
} from '../sdk/index.ts'
import { type GoCommand, provideCommand } from './command.ts'
import { compile, needsNothingBesides, readSources } from './compile.ts'
import { preparePlain } from './plain.ts'
import { writeFunctionProgram } from './functions.ts'
import { goListening } from './listening.ts'
import { findPrograms, type GoProgram } from './programs.ts'
import { findProject, type Project } from './project.ts'
import { readBuildInfo } from './sbom.ts'
import { cobraSubcommand, isPocketBase, pocketBaseScript } from './subcommand.ts'
import { generateTemplates } from './templ.ts'
import { goOffers, provideGo } from './toolchain.ts'
import { requestedVersion } from './version.ts'

const goSources = [
  /(\.(go|s|S|c|cc|cpp|cxx|m|h|hh|hpp|hxx|syso|swig|swigcxx)|_test\.\w+)$/,
  /(^|\/)(vendor|testdata|Godeps)\//,
  /(^|\/)go\.(mod|sum|work|work\.sum)$/,
]

/** Go applications: modules, workspaces, and sources from before modules. */
export const go = defineBuildpack({ detect, build, offers: goOffers, ownCommands: 'left' })

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'go')
  const project = await findProject(app, env)
  if (project === undefined) return fail('no go.mod, go.work or *.go')
  if (found.role !== 'none') return pass(found.reason, found.plan)
  // The user names a module in a folder where language detection does not look.
  if (project.dir === '.') return fail(found.reason)
  return pass(`Go: ${posix.join(project.dir, 'go.mod')}`, buildPlan().provides('go').requires('go'))
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Go')
  const project = await findProject(app, env)
  if (project === undefined) throw new BuildpackError('no go.mod, go.work or *.go')
  const toolchain = await provideGo(context, await requestedVersion(context, project))
  const command = await provideCommand(context, toolchain, app.at(project.dir))
  const { programs, layer, sources } = await withTempDir(async temp => {
    await generateTemplates(context, project, command)
    const prepared = await prepare(context, project, command, temp)
    const { go, list, target } = await choose(context, project, prepared)
    const sources = await readSources(go, list)
    const out = join(temp, 'programs')
    await mkdir(out)
    await compile(context, go, list, sources, out)
    const sbom = async (dir: string) =>
      readBuildInfo(await go.run(['version', '-m', join(dir, 'bin')], { quiet: true }))
    const env = { GIN_MODE: byDefault('release'), ...(target !== undefined && { FUNCTION_TARGET: byDefault(target) }) }
    const layer = await provideProgramLayer(context, list, out, { env, sbom })
    return { programs: list, layer, sources }
  })
  const started = posix.join(project.dir, programs[0]?.dir ?? '.')
  const launch = await planLaunch(context, project, programs, layer)
  await warnOfListening(app, log, goListening, file => posix.dirname(file) === started)
  await removeSources(context, { sources: goSources, embedded: sources.embedded })
  await linkPrograms(context, programs, layer)
  log.info(`Starts with: ${launch.start}`)
  const labels = !launch.shell && needsNothingBesides(env, sources) ? [needsNothing] : []
  return { launch: { processes: launch.processes, labels }, store: { go: toolchain.version } }
}

/**
 * The processes. If the only program has several commands, the web process uses the one that starts the server. The sources still exist
 * at this point.
 */
async function planLaunch(
  { app, env, log }: BuildContext,
  { dir }: Project,
  programs: readonly GoProgram[],
  layer: Layer,
): Promise<{ processes: LaunchProcess[]; start: string; shell: boolean }> {
  const [first] = programs
  const path = first && join(layer.path, 'bin', first.name)
  const plain = (args: readonly string[]) => {
    const processes = programProcesses(programs, layer, args)
    return { processes, start: [path, ...args].join(' '), shell: false }
  }
  if (first === undefined || path === undefined || programs.length > 1) return plain([])
  const declared = await isStartDeclared(app, env)
  if (!declared && (await isPocketBase(app, posix.join(dir, first.dir)))) {
    log.info('PocketBase stores its data in pb_data of the application: mount a volume there to keep it')
    const web = shellProcess('web', pocketBaseScript(path), { default: true })
    return { processes: [web], start: `${path} serve --http=0.0.0.0:$PORT`, shell: true }
  }
  return plain(subcommandArguments(log, await cobraSubcommand(app, dir), first.name, declared))
}

/** The programs to compile: the one that serves a function, or the application's own. */
async function choose(context: BuildContext, project: Project, go: GoCommand): Promise<Chosen> {
  const { log } = context
  const served = await writeFunctionProgram(context, project, go)
  if (served !== undefined) {
    log.info(`Function: ${served.target} (${served.why})`)
    return { go: served.go, list: [served.program], target: served.target }
  }
  const { list, why } = await findPrograms(context, project, go)
  log.info(`Programs: ${list.map(({ name, dir }) => `${name} (${dir})`).join(', ')}: ${why}`)
  return { go, list }
}

interface Chosen {
  readonly go: GoCommand
  readonly list: readonly GoProgram[]
  /** The function that a program of the Functions Framework serves. */
  readonly target?: string
}

/** Prepares some kinds of projects for listing their packages. */
async function prepare(context: BuildContext, project: Project, go: GoCommand, temp: string): Promise<GoCommand> {
  const { app, log } = context
  if (project.kind === 'plain') return preparePlain(context, project, go, temp)
  if (project.kind === 'workspace') {
    if (project.added.length === 0) return go
    if (!(await app.has('go.work'))) await go.run(['work', 'init'], { quiet: true })
    await go.run(['work', 'use', ...project.added], { quiet: true })
    return go
  }
  const needsSums = /^\s*(require\b|[\w.-]+\.\w+\/\S+ v\d)/m.test(
    (await app.read(posix.join(project.dir, 'go.mod'))) ?? '',
  )
  const hasSums =
    (await app.has(posix.join(project.dir, 'go.sum'))) || (await app.hasDirectory(posix.join(project.dir, 'vendor')))
  if (!needsSums || hasSums) return go
  log.warning('there is no go.sum, so the contents of modules are not verified', 'Run "go mod tidy" and commit go.sum.')
  return go.with({ env: { GOFLAGS: `${go.env['GOFLAGS']} -mod=mod` } })
}
