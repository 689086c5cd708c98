import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { readJson, tableMap, text } from '../../../lifecycle/spec/read.ts'
import type { Metadata } from '../../../lifecycle/spec/types.ts'
import { type App, type Component, digestOf, keep, packageUrl, withTempDir } from '../../sdk/index.ts'
import { runNamedScript } from './scripts.ts'
import { readNpmLock } from '../lock-file.ts'
import type { Installation, ManagerJob, ManagerKind, PackageManager } from '../manager.ts'
import { npmEnv } from '../../npm/registry.ts'
import { provideNpm, writeWrappers } from './npm-tool.ts'
import { filesNamed, namesConfig, npmrcValues, userNpmrc } from './settings.ts'

export const npm: ManagerKind = {
  id: 'npm',
  name: 'npm',
  lockFiles: ['npm-shrinkwrap.json', 'package-lock.json'],
  newLockFile: 'package-lock.json',
  commands: ['npm', 'npx'],
  readLock: readNpmLock,
  readers: format => (format === '3' ? '>=7' : '*'),
  source: ({ request }) => Promise.resolve(request && { package: 'npm', request }),
  use: (job, work) => withTempDir(async bin => work(await open(job, bin))),
}

/** Runs npm with the application's Node. */
type NpmCommand = (args: readonly [string, ...string[]]) => Promise<unknown>

async function open(job: ManagerJob, bin: string): Promise<PackageManager> {
  const { context, node, project, choice } = job
  const { lockFile } = choice
  const tool = await provideNpm(job)
  // The cache outlives the buildpack's version, since npm checks everything that it reads from it.
  const cache = await context.layer('npm-cache', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  await writeWrappers(bin, tool.dir)
  const nodeBin = join(node.layer.path, 'bin')
  const env = {
    ...npmEnv(context.env, cache.path),
    PATH: [nodeBin, bin, context.env['PATH']].join(':'),
    // Headers for packages in C++. Without them node-gyp would download them.
    npm_package_config_node_gyp_nodedir: node.layer.path,
    // The same for node-gyp before 10, which comes with older npm. Newer npm warns of an unknown setting.
    ...(semver.lt(tool.version, '10.0.0') && { npm_config_nodedir: node.layer.path }),
    // npm 6 fails at its end if it may not keep a log.
    ...(semver.lt(tool.version, '7.0.0') && { npm_config_logs_max: '10' }),
  }
  const command: NpmCommand = args => {
    // npm's code for a lock file that does not match package.json. Other failures have other causes.
    const fix = (stderr: string) =>
      /\bcode EUSAGE\b/.test(stderr) ? outOfStep(stderr, lockFile ?? 'package-lock.json') : undefined
    const argv = [join(nodeBin, 'node'), join(tool.dir, 'bin/npm-cli.js'), ...args] as const
    const hides = usageLines()
    return context.run(argv, { env, name: `npm ${args.join(' ')}`, cwd: project.root.path, fix, hides })
  }
  const verb = lockFile === undefined || !hasCi(tool.version) ? 'install' : 'ci'
  // In a workspace, only what the application needs: npm itself follows links to other packages of the workspace.
  const only =
    project.dir !== '' && project.isWorkspace && semver.gte(tool.version, '7.14.0')
      ? [`--workspace=${project.dir}`, '--include-workspace-root']
      : []
  const unlocked = lockFile === undefined ? ['--no-package-lock'] : []
  return {
    version: tool.version,
    env,
    installTitle: `npm ${verb}`,
    installedPaths: ['', ...project.members.map(({ dir }) => dir)].map(dir => join(dir, 'node_modules')),
    async key({ dev }) {
      if (lockFile === undefined || !(await lockDecides(project.root, lockFile, context.target.arch))) return undefined
      // This setting ends an installation before it begins.
      if (/strict-allow-scripts/.test((await project.root.read('.npmrc')) ?? '')) return undefined
      return namesConfig(context.env) ? undefined : installKey(job, tool.version, lockFile, dev)
    },
    async install({ dev }) {
      await rm(project.root.at('node_modules'), { recursive: true, force: true })
      await command([verb, ...which(tool.version, dev), ...only, ...unlocked])
    },
    // The script of an optional package may fail while npm installs, but not when it rebuilds: such a lock file has no key. Before 7,
    // npm rebuilds packages by their own names, not by the names of their folders.
    ...(semver.gte(tool.version, '7.0.0') &&
      (await locksScripts(project.root, lockFile, context.target.arch)) && {
        inSteps: {
          async install({ dev }: Installation) {
            await rm(project.root.at('node_modules'), { recursive: true, force: true })
            await command([verb, ...which(tool.version, dev), ...only, ...unlocked, '--ignore-scripts'])
          },
          runScripts: async (names: readonly string[]) => void (await command(['rebuild', '--', ...names])),
        },
      }),
    rebuild: async () => void (await command(['rebuild'])),
    runScript: (script, options) => runNamedScript(context, env, 'npm', script, options),
    async prune() {
      await command(['prune', ...which(tool.version, false), ...only, '--ignore-scripts', ...unlocked])
    },
    sbom: () => installedByNpm(project.root.path),
  }
}

/**
 * Matches the lines that npm prints for a lock file that does not match: each package, npm's usage, and the path of a log, which does
 * not exist after the build. `outOfStep` shows the important ones.
 */
function usageLines(): (line: string) => boolean {
  let [isUnmatched, isUsage] = [false, false]
  return line => {
    const text = /^npm (?:error|ERR!) ?(.*)$/.exec(line)?.[1]
    if (text === undefined) return false
    isUnmatched ||= text === 'code EUSAGE'
    isUsage ||= isUnmatched && /^(?:Clean install a project|Usage:)$/.test(text)
    return (
      isUsage ||
      (isUnmatched && /^(?:Missing|Invalid): |^$/.test(text)) ||
      text.startsWith('A complete log of this run')
    )
  }
}

/**
 * The fix for a lock file that does not match, with npm's lines about it: `Missing: koa@2.16.4 from lock file`. They precede npm's long
 * usage text.
 */
function outOfStep(stderr: string, lockFile: string): string {
  const all = Array.from(stderr.matchAll(/^npm (?:error|ERR!) ((?:Missing|Invalid): .*)$/gm), ([, line = '']) => line)
  const more = all.length > 5 ? [`(${all.length - 5} more)`] : []
  return [...all.slice(0, 5), ...more, `run "npm install" and commit ${lockFile}`].join('\n')
}

/** `npm ci` came with npm 5.7 (npm's changelog). */
const hasCi = (version: string) => semver.gte(version, '5.7.0')

/** `--omit` and `--include` came with npm 7. */
function which(version: string, dev: boolean): string[] {
  if (semver.gte(version, '7.0.0')) return [dev ? '--include=dev' : '--omit=dev']
  return [dev ? '--production=false' : '--production']
}

/**
 * True if the lock file alone determines the packages before their scripts run: each package is an archive with a digest. Lock files of
 * npm 6 and older do not say which packages have scripts.
 */
async function lockDecides(root: App, lockFile: string, arch: string): Promise<boolean> {
  const entries = await lockedHere(root, lockFile, arch)
  return entries.length > 0 && entries.every(isDecided)
}

/** True if a package that npm installs here has a script to run. */
async function locksScripts(root: App, lockFile: string | undefined, arch: string): Promise<boolean> {
  const entries = lockFile === undefined ? [] : await lockedHere(root, lockFile, arch)
  return entries.some(entry => entry['hasInstallScript'] === true)
}

/** The lock file's entries for packages that npm installs on this system. */
async function lockedHere(root: App, lockFile: string, arch: string): Promise<Metadata[]> {
  const lock = readJson((await root.read(lockFile)) ?? '', lockFile)
  const entries = tableMap(lock, 'packages').filter(([path]) => path !== '')
  const cpu = arch === 'amd64' ? 'x64' : arch
  return entries
    .map(([, { table }]) => table)
    .filter(table => !isForOthers(table['os'], 'linux') && !isForOthers(table['cpu'], cpu))
}

function isDecided(entry: Metadata): boolean {
  const { resolved } = entry
  const isLocal = typeof resolved === 'string' && /^(file|git\+|git:|ssh:)/.test(resolved)
  const isKnown = typeof entry['integrity'] === 'string' || entry['inBundle'] === true
  const mayFail = entry['hasInstallScript'] === true && (entry['optional'] === true || entry['devOptional'] === true)
  return isKnown && !isLocal && entry['link'] !== true && !mayFail
}

/** True for an optional package that npm does not install here: `"os": ["darwin"]`. */
function isForOthers(names: unknown, ours: string): boolean {
  return Array.isArray(names) && names.every(name => typeof name === 'string' && !name.startsWith('!') && name !== ours)
}

/** The key of the installed packages. */
async function installKey({ context, node, project }: ManagerJob, npmVersion: string, lockFile: string, dev: boolean) {
  const { env, target } = context
  const settings = Object.entries(env).filter(([name]) => isInstallSetting(name))
  const npmrc = (await project.root.read('.npmrc')) ?? ''
  const user = await userNpmrc(env)
  const values = [...npmrcValues(npmrc, env), ...npmrcValues(user ?? '', env)]
  const named = await filesNamed(project.root, [...settings.map(([, value]) => value), ...values])
  return {
    Node: node.version,
    npm: npmVersion,
    architecture: target.arch,
    packages: dev ? 'with devDependencies' : 'for production',
    [lockFile]: digestOf((await project.root.read(lockFile)) ?? ''),
    'dependencies in package.json': digestOf(project.rootJson.dependencyFields),
    '.npmrc': digestOf(npmrc, ...(user === undefined ? [] : [user]), ...values),
    'settings for npm': settingsDigest(settings),
    'files named in npm settings': digestOf(...named),
  }
}

const settingsDigest = (settings: [string, string][]) =>
  digestOf(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1))))

/** True for settings that may change what npm installs. Settings that only affect how npm reaches archives with digests do not. */
function isInstallSetting(name: string): boolean {
  return /^npm_config_/i.test(name) && !/registry|_ca$|proxy|cache|auth|token|password/i.test(name)
}

/** The packages below `dir`, from npm's record of the installation. */
async function installedByNpm(dir: string): Promise<Component[]> {
  const file = join(dir, 'node_modules/.package-lock.json')
  const content = await readFile(file).catch(() => undefined)
  if (content === undefined) return []
  return tableMap(readJson(content, file), 'packages').flatMap(([path, entry]) => {
    const version = text(entry, 'version')
    // Entries elsewhere are packages of the workspace.
    const isInstalled = path.includes('node_modules/') && entry.table['link'] !== true
    if (version === undefined || !isInstalled) return []
    const name = text(entry, 'name') ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const license = entry.table['license']
    const purl = packageUrl('npm', name, version)
    return [{ name, version, purl, ...(typeof license === 'string' && { license }) }]
  })
}
