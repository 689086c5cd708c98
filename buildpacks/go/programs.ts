import { basename, posix, relative } from 'node:path'
import { type BuildContext, BuildpackError, choosePrograms, firstSetting, type Program } from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import { modFiles, type Project } from './project.ts'

type Env = Readonly<Record<string, string>>

/** A program, and its argument for `go build`. */
export interface GoProgram extends Program {
  readonly package: string
}

export interface Programs {
  /** The first program is the default. */
  readonly list: readonly GoProgram[]
  readonly why: string
}

/** The packages to build, as patterns of the Go command, and the place that names them. */
interface Wanted {
  readonly patterns: readonly string[]
  readonly where: string
}

/**
 * The named programs, else every main package except those in folders of examples and tools.
 * @throws BuildpackError if there is none
 */
export async function findPrograms(context: BuildContext, project: Project, go: GoCommand): Promise<Programs> {
  const { app, env } = context
  const cwd = app.at(project.dir)
  const wanted = wantedPackages(env, project)
  if (wanted !== undefined) {
    const found: GoProgram[] = []
    for (const pattern of wanted.patterns) found.push(...(await listNamed(go, cwd, pattern, wanted.where)))
    return { list: withUniqueNames(found), why: `named by ${wanted.where}` }
  }
  const all = await listMains(go, cwd, patternsOf(project))
  if (all.length === 0) throw noProgram(project, await isFunction(context, project))
  const module = modFiles(project).find(file => file.module)?.module?.value ?? ''
  const options = { appName: basename(module), setting: 'BP_GO_TARGETS' }
  return { list: await choosePrograms(context, withUniqueNames(all), options), why: 'its main packages' }
}

/** True if a setting or a file names the programs to build. */
export const namesPrograms = (env: Env, project: Project): boolean => wantedPackages(env, project) !== undefined

/** True if the application has a program. */
export async function hasPrograms({ app }: BuildContext, project: Project, go: GoCommand): Promise<boolean> {
  return (await listMains(go, app.at(project.dir), patternsOf(project))).length > 0
}

function wantedPackages(env: Env, project: Project): Wanted | undefined {
  const targets = firstSetting(env, 'BP_GO_TARGETS')
  if (targets) return { patterns: relativeTo(project, targets.value.split(':')), where: targets.name }
  const buildable = firstSetting(env, 'GOOGLE_BUILDABLE')
  if (buildable) return { patterns: relativeTo(project, [buildable.value]), where: buildable.name }
  const spec = firstSetting(env, 'GO_INSTALL_PACKAGE_SPEC')
  if (spec) return { patterns: spec.value.split(/[\s,]+/), where: spec.name }
  const bin = firstSetting(env, 'RAILPACK_GO_BIN')
  if (bin) return { patterns: [`./cmd/${bin.value}`], where: bin.name }
  const module = firstSetting(env, 'RAILPACK_GO_WORKSPACE_MODULE')
  if (module) return { patterns: [`./${posix.join(module.value, '...')}`], where: module.name }
  const comment = modFiles(project)
    .map(file => file.heroku['install'])
    .find(Boolean)
  return comment && { patterns: comment.value.split(/[\s,]+/), where: comment.where }
}

/** Paths in the Go command's notation, which takes `cmd/web` for a package of its library. Import paths stay unchanged. */
function relativeTo({ dir }: Project, targets: readonly string[]): string[] {
  const trimmed = targets.map(target => target.trim()).filter(target => target !== '')
  return trimmed.map(target => {
    const isImport = /^[^./]+\.[^/]*\//.test(target)
    if (isImport) return target
    const path = posix.relative(dir, target) || '.'
    return path === '.' || path.startsWith('../') ? path : `./${path}`
  })
}

function patternsOf(project: Project): string[] {
  if (project.kind !== 'workspace') return ['./...']
  const dirs = [...project.work.use.map(({ value }) => value), ...project.added]
  return [...new Set(dirs.map(dir => `./${posix.join(dir, '...')}`))]
}

async function listMains(go: GoCommand, cwd: string, patterns: readonly string[]): Promise<GoProgram[]> {
  return (await listPackages(go, cwd, patterns)).filter(({ isMain }) => isMain)
}

async function listNamed(go: GoCommand, cwd: string, pattern: string, where: string): Promise<GoProgram[]> {
  const all = await listPackages(go, cwd, [pattern]).catch((error: unknown) => {
    if (!(error instanceof BuildpackError)) throw error
    throw new BuildpackError(error.message, { where, fix: 'name folders with a main package, such as "./cmd/web"' })
  })
  const mains = all.filter(({ isMain }) => isMain)
  if (mains.length > 0) return mains
  throw new BuildpackError(`there is no main package in ${JSON.stringify(pattern)}`, {
    where,
    fix: 'name folders with a main package, such as "./cmd/web"',
  })
}

/** The packages that match patterns, without their dependencies. */
export async function listPackages(go: GoCommand, cwd: string, patterns: readonly string[]) {
  // This does not read dependencies, so nothing is downloaded.
  const format = '{{.Name}}\t{{.ImportPath}}\t{{.Dir}}\t{{.Target}}\t{{len .GoFiles}}\t{{len .CgoFiles}}'
  const output = await go.run(['list', '-find', '-f', format, ...patterns], { quiet: true })
  return output
    .split('\n')
    .filter(line => line.includes('\t'))
    .map(line => {
      const [name, importPath = '', dir = '', target = '', ...files] = line.split('\t')
      const isFile = importPath === 'command-line-arguments'
      return {
        isMain: name === 'main' && files.some(count => Number(count) > 0),
        package: isFile ? (patterns[0] ?? '.') : importPath,
        dir: relative(cwd, dir) || '.',
        name: isFile ? basename(patterns[0] ?? '', '.go') : basename(target || importPath),
      }
    })
}

/** Two programs with the same name get their folder's name as a prefix: `admin-server`. */
function withUniqueNames(programs: readonly GoProgram[]): GoProgram[] {
  const unique = [...new Map(programs.map(program => [program.package, program])).values()]
  return unique.map(program => {
    const twice = unique.filter(({ name }) => name === program.name).length > 1
    const name = twice && program.dir !== '.' ? program.dir.split('/').slice(-2).join('-') : program.name
    return { ...program, name: name.replaceAll(/[^A-Za-z0-9._-]/g, '-') }
  })
}

/** True for a module of Google's Functions Framework. */
async function isFunction({ app }: BuildContext, { kind, dir }: Project): Promise<boolean> {
  const mod = kind === 'module' ? await app.read(posix.join(dir, 'go.mod')) : undefined
  return mod?.includes('github.com/GoogleCloudPlatform/functions-framework-go') === true
}

function noProgram(project: Project, isFunction: boolean): BuildpackError {
  const where =
    project.kind === 'module' ? posix.join(project.dir, 'go.mod') : project.kind === 'workspace' ? 'go.work' : '.'
  return new BuildpackError('there is no main package: this is a library, which cannot be started', {
    where,
    fix: isFunction
      ? 'set GOOGLE_FUNCTION_TARGET to the function to serve, which the package exports or registers with functions.HTTP'
      : 'add a folder with "package main" and "func main()", or name one with BP_GO_TARGETS',
  })
}
