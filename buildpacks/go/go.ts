import { copyFile, mkdir, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import {
  type BuildContext,
  buildPlan,
  type BuildResult,
  BuildpackError,
  byDefault,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  digestOf,
  digestOfFile,
  fail,
  firstSetting,
  type LaunchProcess,
  pass,
  shellProcess,
  weighLanguages,
  withTempDir,
} from '../sdk/index.ts'
import { type GoCommand, provideCommand } from './command.ts'
import { compile, readSources } from './compile.ts'
import { removeSources } from './keep.ts'
import { preparePlain } from './plain.ts'
import { findPrograms, type Program, startLines } from './programs.ts'
import { findProject, type Project } from './project.ts'
import { readBuildInfo } from './sbom.ts'
import { provideGo } from './toolchain.ts'
import { requestedVersion } from './version.ts'

/** Go applications: modules, workspaces, and sources from before them. */
export const go = defineBuildpack({ detect, build })

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'go')
  const project = await findProject(app, env)
  if (project === undefined) return fail('no go.mod, go.work or *.go')
  if (found.role !== 'none') return pass(found.reason, found.plan)
  // A module that the user names, in a folder where nobody looks for the language of an application.
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
  const { programs, layer, embedded } = await withTempDir(async temp => {
    const go = await prepare(context, project, command, temp)
    const { list, why } = await findPrograms(context, project, go)
    log.info(`Programs: ${list.map(({ name, dir }) => `${name} (${dir})`).join(', ')}: ${why}`)
    const sources = await readSources(go, list)
    const out = join(temp, 'programs')
    await mkdir(out)
    await compile(context, go, list, sources, out)
    return { programs: list, layer: await keepPrograms(context, go, list, out), embedded: sources.embedded }
  })
  const { builders } = await weighLanguages(app, env)
  await removeSources(context, { embedded, frontEnd: builders.length > 0 })
  await linkPrograms(context, programs, layer)
  const processes = processesOf(env, programs, layer)
  for (const { type, command, default: isDefault } of processes) {
    if (isDefault === true) log.info(`Starts with: ${type}, which is ${command.join(' ')}`)
  }
  return { launch: { processes }, store: { go: toolchain.version } }
}

/** What some kinds of projects need before their packages can be listed. */
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
  log.warning(
    'there is no go.sum, so nothing says which contents the modules have',
    'Run "go mod tidy" and commit go.sum.',
  )
  return go.with({ env: { GOFLAGS: `${go.env['GOFLAGS']} -mod=mod` } })
}

/** The layer with the programs: that of the previous image, if they are the same. */
async function keepPrograms(
  context: BuildContext,
  go: GoCommand,
  programs: readonly Program[],
  out: string,
): Promise<string> {
  const names = programs.map(({ name }) => name)
  const digests = await Promise.all(programs.map(({ name }) => digestOfFile(join(out, name))))
  const layer = await context.layer('programs', {
    types: { launch: true },
    key: { programs: digestOf(...names, ...digests) },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      for (const { name } of programs) await copyFile(join(out, name), join(dir, 'bin', name))
      return { env: { launch: { PORT: byDefault('8080'), GIN_MODE: byDefault('release') } } }
    },
    sbom: async dir => readBuildInfo(await go.run(['version', '-m', join(dir, 'bin')], { quiet: true })),
  })
  return layer.path
}

/** A process for each program, and `web` for the first. */
function processesOf(env: BuildContext['env'], programs: readonly Program[], layer: string): LaunchProcess[] {
  const program = ({ name }: Program, type = name): LaunchProcess => ({ type, command: [join(layer, 'bin', name)] })
  const start = firstSetting(env, 'RAILPACK_START_CMD')
  const [first] = programs
  const web = start ? shellProcess('web', start.value) : first && program(first, 'web')
  const others = programs.filter(({ name }) => name !== 'web').map(p => program(p))
  return web === undefined ? others : [{ ...web, default: true }, ...others]
}

/** Where other builders leave programs, and so where command lines look for them: `bin/web`, `./web`, Railpack's `./out`. */
async function linkPrograms({ app, env }: BuildContext, programs: readonly Program[], layer: string): Promise<void> {
  const words = (await startLines(app, env))
    .flatMap(line => line.split(/[\s;&|"']+/))
    .filter(word => word.includes('/'))
  for (const word of new Set(words.map(path => posix.join(path, '.')))) {
    if (word.startsWith('/') || word.startsWith('..')) continue
    const name = posix.basename(word)
    const program =
      programs.find(p => p.name === name) ?? (['out', 'main', 'app'].includes(name) ? programs[0] : undefined)
    if (program === undefined || (await app.has(word)) || (await app.hasDirectory(word))) continue
    await mkdir(dirname(app.at(word)), { recursive: true })
    await symlink(join(layer, 'bin', program.name), app.at(word))
  }
}
