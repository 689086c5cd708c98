import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readJson, tableMap, text } from '../../lifecycle/spec/read.ts'
import type { Metadata } from '../../lifecycle/spec/types.ts'
import {
  type App,
  type BuildContext,
  type Component,
  digestOf,
  digestOfFile,
  type LayerKey,
  packageUrl,
  type Run,
} from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'
import { type BuildScripts, hasInstallScripts } from './scripts.ts'

/**
 * How the application gets its packages: `none`; `install`, in its own directory as on a developer's machine, since packages look
 * for their application from where they lie; `vendored`: they came with the source, and what is compiled is compiled anew.
 */
export interface PackagePlan {
  readonly how: 'none' | 'install' | 'vendored'
  readonly lockFile: string | undefined
  /** Scripts are run to build the application. */
  readonly builds: boolean
  /** With devDependencies: for the scripts of the application, or to test. */
  readonly dev: boolean
  /** The lock file and the settings decide all that npm installs: see `lockDecides`. */
  readonly keyed: boolean
  /** devDependencies are removed when the application is built. */
  readonly prune: boolean
}

type Env = Readonly<Record<string, string>>

export async function planPackages(
  { app, env, execEnv, target }: Pick<BuildContext, 'app' | 'env' | 'execEnv' | 'target'>,
  json: PackageJson,
  lockFile: string | undefined,
  scripts: BuildScripts,
): Promise<PackagePlan> {
  const builds = [...scripts.before, ...scripts.scripts].length > 0 || scripts.command !== undefined
  // npm compiles an application that has a binding.gyp, as if a script said so.
  const ownInstall = hasInstallScripts(json) || (await app.has('binding.gyp'))
  const wantsDev = execEnv !== 'production' || !wantsPruning(env)
  // Any script of the application may call a development tool: `"prepare": "husky"`.
  const dev = builds || ownInstall || wantsDev
  const prune = dev && !wantsDev && json.hasDevDependencies
  const plan = { lockFile, builds, dev, prune, keyed: false }
  if (lockFile === undefined && (await app.hasDirectory('node_modules')))
    return { ...plan, how: 'vendored', prune: false }
  if (!json.hasDependencies && !ownInstall) return { ...plan, how: 'none', prune: false }
  const sourceMatters = ownInstall || json.hasWorkspaces || scripts.before.length > 0 || namesConfig(env)
  const keyed = lockFile !== undefined && !sourceMatters && (await lockDecides(app, lockFile, target.arch))
  return { ...plan, how: 'install', keyed }
}

/** True if a setting names another file of settings, which may name files in turn. */
function namesConfig(env: Env): boolean {
  return Object.keys(env).some(name => /^npm_config_(userconfig|globalconfig|prefix)$/i.test(name))
}

/** Heroku's and Railpack's ways to keep devDependencies, and npm's own. */
function wantsPruning(env: Env): boolean {
  const nodeEnv = env['NODE_ENV']
  if (nodeEnv === 'development' || nodeEnv === 'test') return false
  return !['NPM_CONFIG_PRODUCTION', 'RAILPACK_PRUNE_DEPS'].some(name => env[name]?.toLowerCase() === 'false')
}

/**
 * True if the lock file alone decides what is installed: each package is an archive of known digest, and none runs a script,
 * which could read the source, the environment or the network. Lock files of npm 6 and older do not say who runs scripts.
 */
async function lockDecides(app: App, lockFile: string, arch: string): Promise<boolean> {
  const root = readJson((await app.read(lockFile)) ?? '', lockFile)
  const entries = tableMap(root, 'packages').filter(([path]) => path !== '')
  return entries.length > 0 && entries.every(([, { table }]) => isDecided(table, arch))
}

function isDecided(entry: Metadata, arch: string): boolean {
  if (isForOthers(entry['os'], 'linux') || isForOthers(entry['cpu'], arch === 'amd64' ? 'x64' : arch)) return true
  const { resolved } = entry
  const isLocal = typeof resolved === 'string' && /^(file|git\+|git:|ssh:)/.test(resolved)
  const isKnown = typeof entry['integrity'] === 'string' || entry['inBundle'] === true
  return isKnown && !isLocal && entry['link'] !== true && entry['hasInstallScript'] !== true
}

/** `"os": ["darwin"]`: an optional package that npm leaves out here. */
function isForOthers(names: unknown, ours: string): boolean {
  return Array.isArray(names) && names.every(name => typeof name === 'string' && !name.startsWith('!') && name !== ours)
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
  const npmrc = (await app.read('.npmrc')) ?? ''
  const values = [...settings.map(([, value]) => value), ...npmrcValues(npmrc, env)]
  return {
    Node: versions.node,
    npm: versions.npm,
    architecture: target.arch,
    packages: plan.dev ? 'with devDependencies' : 'for production',
    [lockFile]: digestOf((await app.read(lockFile)) ?? ''),
    'dependencies in package.json': digestOf(json.dependencyFields),
    '.npmrc': digestOf(npmrc, ...npmrcValues(npmrc, env)),
    'settings for npm': digestOf(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1)))),
    'files that settings for npm name': digestOf(...(await filesNamed(app, values))),
  }
}

/** Settings for npm may change what it installs, except those that are about the way to archives of known digests. */
function isInstallSetting(name: string): boolean {
  return /^npm_config_/i.test(name) && !/registry|_ca$|proxy|cache|auth|token|password/i.test(name)
}

const isSecret = (line: string) => /^[^=]*(_auth|_password|token)/i.test(line)

/** The values in .npmrc but passwords, with variables of the environment in place of `${NAME}`. */
function npmrcValues(npmrc: string, env: Env): string[] {
  const lines = npmrc.split(/\r?\n/).filter(line => !/^\s*[#;]/.test(line) && line.includes('=') && !isSecret(line))
  const values = lines.map(line =>
    line
      .slice(line.indexOf('=') + 1)
      .trim()
      .replace(/^(["'])(.*)\1$/, '$2'),
  )
  return values.map(value => value.replace(/\$\{([^}?]+)\??\}/g, (_, name: string) => env[name] ?? ''))
}

/** The files that values name, each with its content: `cafile=ca.pem`, `NPM_CONFIG_USERCONFIG=ci/npmrc`. */
async function filesNamed(app: App, values: readonly string[]): Promise<string[]> {
  const named = [...new Set(values)]
    .filter(value => value !== '' && value.length < 4096 && !value.includes('\0'))
    .toSorted()
  const contents = await Promise.all(named.map(value => digestOfNamed(resolve(app.path, value))))
  return named.flatMap((name, index) => (contents[index] === undefined ? [] : [name, contents[index]]))
}

async function digestOfNamed(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true ? digestOfFile(path) : undefined
}

/** Runs npm with the application's Node. */
export type NpmCommand = (args: readonly [string, ...string[]], cwd?: string) => Promise<unknown>

export function installArguments({ lockFile, dev }: PackagePlan): [string, ...string[]] {
  const which = dev ? '--include=dev' : '--omit=dev'
  return lockFile === undefined ? ['install', which, '--no-package-lock'] : ['ci', which]
}

export function pruneArguments({ lockFile }: PackagePlan): [string, ...string[]] {
  return ['prune', '--omit=dev', '--ignore-scripts', ...(lockFile === undefined ? ['--no-package-lock'] : [])]
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
