import { copyFile, mkdir, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { readJson, tableMap, text } from '../../lifecycle/spec/read.ts'
import {
  type App,
  type BuildContext,
  type Component,
  digestOf,
  type LayerKey,
  packageUrl,
  type Run,
} from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'
import { type BuildScripts, hasInstallScripts } from './scripts.ts'

/**
 * How the application gets its packages.
 * - `none`: it needs none.
 * - `layer`: into a layer that the next image can have again without its bytes, linked as node_modules. Only where the lock
 *   file decides everything about the result.
 * - `app`: into its own directory, where a build can write among them and find its way from them to the source.
 * - `vendored`: they came with the source, and what is compiled is compiled anew.
 */
export interface PackagePlan {
  readonly how: 'none' | 'layer' | 'app' | 'vendored'
  readonly lockFile: string | undefined
  /** Scripts are run to build the application. */
  readonly builds: boolean
  /** With devDependencies: for the build script, or to test. */
  readonly dev: boolean
  /** The packages that npm would install are the same as long as the key is. */
  readonly keyed: boolean
  /** devDependencies go when the application is built. */
  readonly prune: boolean
}

type Env = Readonly<Record<string, string>>

export async function planPackages(
  { app, env, execEnv }: Pick<BuildContext, 'app' | 'env' | 'execEnv'>,
  json: PackageJson,
  lockFile: string | undefined,
  scripts: BuildScripts,
): Promise<PackagePlan> {
  const builds = [...scripts.before, ...scripts.scripts].length > 0 || scripts.command !== undefined
  const dev = builds || execEnv !== 'production'
  const prune = builds && execEnv === 'production' && json.hasDevDependencies && wantsPruning(env)
  const plan = { lockFile, builds, dev, prune, keyed: false }
  if (lockFile === undefined && (await app.hasDirectory('node_modules')))
    return { ...plan, how: 'vendored', prune: false }
  // npm compiles an application that has a binding.gyp, as if a script said so.
  const installs = hasInstallScripts(json) || (await app.has('binding.gyp'))
  if (!json.hasDependencies && !installs) return { ...plan, how: 'none', prune: false }
  const sourceMatters = installs || json.hasWorkspaces || scripts.before.length > 0
  const keyed = lockFile !== undefined && !sourceMatters && !(await dependsOnSource(app, lockFile))
  return { ...plan, how: keyed && !builds ? 'layer' : 'app', keyed }
}

/** Heroku's and Railpack's ways to keep devDependencies. */
function wantsPruning(env: Env): boolean {
  return !['NPM_CONFIG_PRODUCTION', 'RAILPACK_PRUNE_DEPS'].some(name => env[name]?.toLowerCase() === 'false')
}

/** Packages whose own install scripts read the application's source: Prisma makes its client from the schema there. */
const sourceReaders = ['@prisma/client']

/** True if the lock file does not say all about the packages: some are, or read, files of the application. */
async function dependsOnSource(app: App, lockFile: string): Promise<boolean> {
  const root = readJson((await app.read(lockFile)) ?? '', lockFile)
  const isFile = (value: unknown) => typeof value === 'string' && value.startsWith('file:')
  const entries = tableMap(root, 'packages')
  return (
    // `"lib": "file:./lib"` is a link, `"lib": "file:lib.tgz"` is not.
    entries.some(([, { table }]) => table['link'] === true || isFile(table['resolved'])) ||
    entries.some(([path]) => sourceReaders.some(name => path.endsWith(`node_modules/${name}`))) ||
    // Lock files of npm 6 and older.
    tableMap(root, 'dependencies').some(([, { table }]) => isFile(table['version']))
  )
}

/** What the installed packages depend on. */
export async function packagesKey(
  { app, env, target }: BuildContext,
  plan: PackagePlan,
  json: PackageJson,
  versions: { readonly node: string; readonly npm: string },
): Promise<LayerKey> {
  const lockFile = plan.lockFile ?? ''
  const settings = Object.entries(env).filter(([name]) => isInstallSetting(name))
  return {
    Node: versions.node,
    npm: versions.npm,
    architecture: target.arch,
    packages: plan.dev ? 'with devDependencies' : 'for production',
    [lockFile]: digestOf((await app.read(lockFile)) ?? ''),
    'dependencies in package.json': digestOf(json.dependencyFields),
    '.npmrc': digestOf((await app.read('.npmrc')) ?? ''),
    'settings for npm': digestOf(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1)))),
  }
}

/** Settings for npm may change what it installs, except those that are about the way there. */
function isInstallSetting(name: string): boolean {
  return /^npm_config_/i.test(name) && !/registry|cafile|_ca$|proxy|cache|userconfig|auth|token|password/i.test(name)
}

/** Runs npm with the application's Node. */
export type NpmCommand = (args: readonly [string, ...string[]], cwd?: string) => Promise<unknown>

/** Fills `dir` with the packages that the lock file names, in `node_modules`; the other files that npm needs do not stay. */
export async function installInto(
  dir: string,
  { app }: BuildContext,
  plan: PackagePlan,
  npm: NpmCommand,
): Promise<void> {
  const names = ['package.json', plan.lockFile, '.npmrc'].filter(name => name !== undefined)
  const needed: string[] = []
  for (const name of names) if (await app.has(name)) needed.push(name)
  for (const name of needed) await copyFile(app.at(name), join(dir, name))
  await npm(installArguments(plan), dir)
  // .npmrc may hold a password.
  for (const name of needed) await rm(join(dir, name))
  await mkdir(join(dir, 'node_modules'), { recursive: true })
}

export function installArguments({ lockFile, dev }: PackagePlan): [string, ...string[]] {
  const which = dev ? '--include=dev' : '--omit=dev'
  return lockFile === undefined ? ['install', which, '--no-package-lock'] : ['ci', which]
}

export function pruneArguments({ lockFile }: PackagePlan): [string, ...string[]] {
  return ['prune', '--omit=dev', '--ignore-scripts', ...(lockFile === undefined ? ['--no-package-lock'] : [])]
}

/** Makes `node_modules` of the application a link to a layer's. */
export async function linkModules(app: App, layer: string): Promise<void> {
  await rm(app.at('node_modules'), { recursive: true, force: true })
  await symlink(join(layer, 'node_modules'), app.at('node_modules'))
}

/** Copies a whole tree as it is. */
export async function copyTree(run: Run, from: string, to: string): Promise<void> {
  await run(['cp', '-a', '--reflink=auto', from, to], { quiet: true, name: 'copying node_modules' })
}

/** The packages below `dir`, as npm notes them when it installs. */
export async function installedPackages(dir: string): Promise<Component[]> {
  const file = join(dir, 'node_modules/.package-lock.json')
  const content = await readFile(file).catch(() => undefined)
  if (content === undefined) return []
  return tableMap(readJson(content, file), 'packages').flatMap(([path, entry]) => {
    const version = text(entry, 'version')
    if (version === undefined || entry.table['link'] === true) return []
    const name = text(entry, 'name') ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const license = entry.table['license']
    const purl = packageUrl('npm', name, version)
    return [{ name, version, purl, ...(typeof license === 'string' && { license }) }]
  })
}
