import { cp, rm, symlink, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { byDefault, keep, withTempDir } from '../../sdk/index.ts'
import { componentsOf, installedPackages } from '../installed.ts'
import { readPnpmLock } from '../lock-file.ts'
import type { ManagerChoice, ManagerJob, ManagerKind, ManagerSource, PackageManager } from '../manager.ts'
import { unpackTool } from './fetch.ts'
import { installKey } from './install-key.ts'
import { ownInstallScripts } from './own-scripts.ts'
import { runNamedScript } from './scripts.ts'
import { commandOf, outdatedLock, provideTool, type Tool, toolEnv, withoutWarnings, writeNodeCommand } from './tool.ts'

export const pnpm: ManagerKind = {
  id: 'pnpm',
  name: 'pnpm',
  lockFiles: ['pnpm-lock.yaml'],
  newLockFile: 'pnpm-lock.yaml',
  commands: ['pnpm', 'pnpx'],
  readLock: readPnpmLock,
  readers: format => readersByFormat[Number.parseInt(format)] ?? '*',
  source: choice => Promise.resolve(sourceOf(choice)),
  use: (job, work) => withTempDir(async temp => work(await open(job, temp))),
}

/** The versions that write each format of lock files (pnpm.io, "pnpm-lock.yaml"), and that do not run scripts without permission. */
const versionsByFormat: Readonly<Record<string, string>> = {
  '5.3': '6',
  '5.4': '7',
  '6.0': '8',
  '6.1': '8',
  '9.0': '10',
}

/** The versions that read each format, by its first number: pnpm 8 and 10 dropped the one before theirs (their release notes). */
const readersByFormat: Readonly<Record<number, string>> = { 5: '<8', 6: '>=7 <10', 9: '>=9' }

/** Packages with pnpm as a native program, which exists since version 12. */
const programs: Readonly<Record<string, string>> = { amd64: '@pnpm/exe.linux-x64', arm64: '@pnpm/exe.linux-arm64' }

async function open(job: ManagerJob, temp: string): Promise<PackageManager> {
  const { context, project, choice } = job
  const { root } = project
  const tool = await provide(job)
  const store = await context.layer('pnpm-store', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  // The store is read-only once scripts may run. An installation by a script, as in another folder, uses a store of its own.
  const env = {
    ...(await toolEnv(job, tool.bin, temp)),
    ...settings(join(temp, 'pnpm-store'), join(temp, 'pnpm-cache')),
    ...withoutWarnings(job),
  }
  const fix = outdatedLock(/OUTDATED_LOCKFILE|LOCKFILE_BREAKING|CONFIG_MISMATCH/, 'pnpm install', choice.lockFile)
  const ofPackages = { ...env, ...asVariables({ store_dir: store.path }) }
  const command = commandOf(context, 'pnpm', { cwd: root.path, env: ofPackages, fix })
  const ofScripts = commandOf(context, 'pnpm', { cwd: root.path, env, fix })
  const frozen = choice.lockFile === undefined ? ['--no-lockfile'] : ['--frozen-lockfile']
  const filter = project.dir === '' || !project.isWorkspace ? [] : ['--filter', `{${project.dir}}...`, '--filter', '.']
  const dirs = ['', ...project.members.map(({ dir }) => dir)]
  return {
    version: tool.version,
    env,
    store,
    installTitle: 'pnpm install',
    installedPaths: dirs.map(dir => join(dir, 'node_modules')),
    key: ({ dev }) => installKey(job, tool.version, dev, choice.lock?.complete === true),
    async install({ dev }) {
      await Promise.all(dirs.map(dir => rm(root.at(dir, 'node_modules'), { recursive: true, force: true })))
      const which = dev ? ['--prod=false'] : ['--prod']
      await command(['install', ...filter, ...frozen, ...which, '--ignore-scripts', '--reporter=append-only'])
    },
    async runInstallScripts() {
      await ofScripts(['rebuild', '--pending'])
      for (const script of ownInstallScripts(project)) await ofScripts(['--recursive', '--if-present', 'run', script])
    },
    rebuild: async () => void (await command(['rebuild'])),
    runScript: (script, options) => runNamedScript(context, env, 'pnpm', script, options),
    async prune() {
      await command([
        'install',
        ...filter,
        ...frozen,
        '--prod',
        '--ignore-scripts',
        '--prefer-offline',
        '--reporter=append-only',
      ])
    },
    // These files contain the time and the store of this build.
    async finish() {
      const names = ['.modules.yaml', '.pnpm-workspace-state.json', '.pnpm-workspace-state-v1.json']
      await Promise.all(names.map(name => rm(root.at('node_modules', name), { force: true })))
    },
    sbom: async () => componentsOf(await installedPackages(root.path, dirs)),
  }
}

/** The settings as variables of pnpm 10 and older, and of newer versions. */
function settings(store: string, cache: string): Record<string, string> {
  const values = {
    store_dir: store,
    cache_dir: cache,
    // With hard links, a script of a package could change the store.
    package_import_method: 'clone-or-copy',
    // Scripts run in each build, and write nothing to the store.
    side_effects_cache: 'false',
    // Removed devDependencies are deleted at once, not after a week.
    modules_cache_max_age: '0',
    ...launchSettings,
  }
  return asVariables(values)
}

const launchSettings = {
  // The running pnpm already is the version that the application requests.
  manage_package_manager_versions: 'false',
  package_manager_strict: 'false',
  pm_on_fail: 'ignore',
  verify_deps_before_run: 'false',
}

function asVariables(values: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(values).flatMap(([name, value]) => [
    [`npm_config_${name}`, value],
    [`PNPM_CONFIG_${name.toUpperCase()}`, value],
  ])
  return Object.fromEntries(entries) as Record<string, string>
}

async function provide(job: ManagerJob): Promise<Tool> {
  const { registry, context, choice } = job
  return provideTool(job, {
    command: 'pnpm',
    name: 'pnpm',
    ...sourceOf(choice),
    // The installation is complete: at the start of the application, pnpm neither installs anything nor downloads another pnpm.
    env: { launch: Object.fromEntries(Object.entries(asVariables(launchSettings)).map(([k, v]) => [k, byDefault(v)])) },
    async create(dir, version) {
      const target = join(dir, 'pnpm')
      await unpackTool(registry, 'pnpm', version, target, choice.request)
      if (semver.major(version) < 12) {
        const ending = semver.major(version) < 11 ? 'cjs' : 'mjs'
        await writeNodeCommand(join(dir, 'bin'), 'pnpm', join(target, `bin/pnpm.${ending}`))
        await writeNodeCommand(join(dir, 'bin'), 'pnpx', join(target, `bin/pnpx.${ending}`))
        return
      }
      // Does what its install script does: the program replaces a script. Beside it is pnpm's copy of node-gyp.
      const program = join(dir, 'program')
      await unpackTool(registry, programs[context.target.arch] ?? '@pnpm/exe.linux-x64', version, program)
      await rm(join(target, 'pnpm'))
      await cp(join(program, 'pnpm'), join(target, 'pnpm'))
      await rm(program, { recursive: true })
      await mkdir(join(dir, 'bin'))
      for (const name of ['pnpm', 'pnpx']) await symlink('../pnpm/pnpm', join(dir, 'bin', name))
    },
  })
}

function sourceOf({ request, lock, lockFile }: ManagerChoice): ManagerSource {
  const format = lock?.format ?? '9.0'
  const range = versionsByFormat[format] ?? (Number(format) > 9 ? '*' : '6')
  const preferred = { range, where: lockFile ?? 'the default' }
  return { package: 'pnpm', request: request ?? preferred, preferred }
}
