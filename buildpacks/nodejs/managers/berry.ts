import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import semver from 'semver'
import { type App, BuildpackError, keep, withTempDir } from '../../sdk/index.ts'
import { componentsOf, installedPackages } from '../installed.ts'
import { readBerryLock } from '../lock-file.ts'
import type { ManagerChoice, ManagerJob, ManagerKind, ManagerSource, PackageManager } from '../manager.ts'
import { readYaml } from '../yaml.ts'
import { unpackTool } from './fetch.ts'
import { installKey } from './install-key.ts'
import { refusedByNewerYarn, runNamedScript } from './scripts.ts'
import { commandOf, outdatedLock, provideTool, type Tool, toolEnv, writeNodeCommand } from './tool.ts'

/** Yarn 2 and newer, with node_modules or Plug'n'Play. */
export const berry: ManagerKind = {
  id: 'berry',
  name: 'Yarn',
  lockFiles: ['yarn.lock'],
  newLockFile: 'yarn.lock',
  commands: ['yarn', 'yarnpkg'],
  readLock: readBerryLock,
  // `--immutable` refuses to change the format.
  readers: format => versionsByFormat[format] ?? '*',
  async source(choice, { root }) {
    return (await readLayout(root)).yarnPath === undefined ? sourceOf(choice) : undefined
  },
  use: (job, work) => withTempDir(async temp => work(await open(job, temp))),
}

/** The versions that write each format of lock files (`__metadata.version`). */
const versionsByFormat: Readonly<Record<string, string>> = { 4: '2.x', 5: '3.x', 6: '3.x', 7: '4.x', 8: '4.x' }

/** How the application stores its packages. */
export interface BerryLayout {
  readonly linker: string
  /** The folder with archives of packages, if they are in the source. */
  readonly cacheFolder: string
  readonly hasArchives: boolean
  /** Its settings name a registry. */
  readonly hasRegistry: boolean
  /** A copy of Yarn in the source. */
  readonly yarnPath: string | undefined
}

async function readLayout(root: App): Promise<BerryLayout> {
  const settings = (await readYaml(root, '.yarnrc.yml')) ?? {}
  const text = (name: string) => (typeof settings[name] === 'string' ? settings[name] : undefined)
  const cacheFolder = text('cacheFolder') ?? '.yarn/cache'
  const names = await readdir(root.at(cacheFolder)).catch(() => [])
  return {
    linker: text('nodeLinker') ?? 'pnp',
    cacheFolder,
    hasArchives: names.some(name => name.endsWith('.zip')),
    hasRegistry: text('npmRegistryServer') !== undefined,
    yarnPath: text('yarnPath'),
  }
}

/** True if packages are found through .pnp.cjs, which Yarn loads. */
const usesPnp = ({ linker }: BerryLayout) => linker === 'pnp'

async function open(job: ManagerJob, temp: string): Promise<PackageManager> {
  const { context, project, choice } = job
  const { root } = project
  const layout = await readLayout(root)
  const pnp = usesPnp(layout)
  const tool = await provide(pnp ? { ...job, launch: job.starts } : job, layout)
  // Yarn compares the digest of an archive with the lock file whenever it uses one.
  const store = await context.layer('yarn-global', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  const registry = settingOf(context.env, 'npm_config_registry')
  const env: Record<string, string> = {
    ...(await toolEnv(job, tool.bin, temp)),
    YARN_GLOBAL_FOLDER: store.path,
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_INLINE_BUILDS: '1',
    // With Plug'n'Play, the archives are the packages, and the image contains them. Otherwise the application does not need them. Yarn
    // does not read npm's settings, and users often name a mirror once for all managers.
    ...(registry !== undefined &&
      !layout.hasRegistry && { YARN_NPM_REGISTRY_SERVER: registry, ...yarnSettings(context.env) }),
    ...(!layout.hasArchives && { YARN_ENABLE_GLOBAL_CACHE: pnp ? '0' : '1' }),
  }
  const fix = outdatedLock(/YN0028|YN0050/, 'yarn install', choice.lockFile)
  const command = commandOf(context, 'yarn', { cwd: root.path, env: { ...env, ...refusedByNewerYarn }, fix })
  const frozen = choice.lockFile === undefined ? ['--no-immutable'] : ['--immutable']
  const dirs = ['', ...project.members.map(({ dir }) => dir)]
  const focus = project.dir === '' || !project.isWorkspace ? ['--all'] : [project.json.name ?? '']
  const productionOnly = ['workspaces', 'focus', ...focus, '--production'] as const
  // Before Yarn 4 it is a plugin.
  const hasFocus =
    semver.gte(tool.version, '4.0.0') || (await root.has('.yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs'))
  return {
    version: tool.version,
    env,
    store,
    installTitle: 'yarn install',
    installedPaths: pnp ? ['.pnp.cjs', '.pnp.loader.mjs', '.yarn'] : dirs.map(dir => join(dir, 'node_modules')),
    key: ({ dev }) =>
      pnp ? Promise.resolve(undefined) : installKey(job, tool.version, dev, choice.lock?.complete === true),
    async install({ dev }) {
      if (!pnp) await Promise.all(dirs.map(dir => rm(root.at(dir, 'node_modules'), { recursive: true, force: true })))
      await command(['install', ...frozen], { YARN_ENABLE_SCRIPTS: '0' })
      if (!dev) await removeDev()
    },
    // Yarn builds installed packages that it has no record of.
    async runInstallScripts({ dev }) {
      if (dev || !hasFocus) await command(['install', ...frozen])
      else await command(productionOnly)
    },
    rebuild: async () => void (await command(['rebuild'])),
    runScript: (script, options) => runNamedScript(context, { ...env, ...refusedByNewerYarn }, 'yarn', script, options),
    prune: removeDev,
    // Scripts find packages if Yarn runs them, and Node finds them in a Yarn script.
    ...(pnp && {
      startCommand: ({ command, why }: { command: string; why: string }) =>
        why === 'package.json scripts.start' ? 'yarn run start' : `yarn run ${command}`,
    }),
    async finish() {
      if (!pnp) await rm(root.at(layout.cacheFolder), { recursive: true, force: true })
      else await removeUnused(root, layout)
      for (const name of ['.yarn/unplugged/.cache', '.yarn/build-state.yml'])
        await rm(root.at(name), { recursive: true, force: true })
    },
    async sbom() {
      if (!pnp) return componentsOf(await installedPackages(root.path, dirs))
      const there = await archives(root, layout)
      const isThere = ({ name, version }: { name: string; version: string }) =>
        there.some(archive => archive.startsWith(`${name.replace('/', '-')}-npm-${version}-`))
      const packages = (choice.lock?.packages ?? []).filter(isThere)
      return componentsOf(packages.map(entry => ({ ...entry, license: undefined })))
    },
  }

  async function removeDev(): Promise<void> {
    if (hasFocus) {
      await command(productionOnly, { YARN_ENABLE_SCRIPTS: '0' })
      return
    }
    context.log.warning(
      `Yarn ${tool.version} cannot remove devDependencies, so they stay in the image`,
      'Run "yarn set version stable", or "yarn plugin import workspace-tools".',
    )
  }
}

/** npm reads its variables in any case of letters. */
function settingOf(env: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.entries(env).find(([key, value]) => key.toLowerCase() === name && value !== '')?.[1]
}

function yarnSettings(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name === 'YARN_NPM_REGISTRY_SERVER'))
}

async function archives(root: App, { cacheFolder }: BerryLayout): Promise<string[]> {
  return (await readdir(root.at(cacheFolder)).catch(() => [])).filter(name => name.endsWith('.zip'))
}

/** Removes the archives of devDependencies, which Yarn does not remove when it no longer uses them. */
async function removeUnused(root: App, layout: BerryLayout): Promise<void> {
  const map =
    (await readFile(root.at('.pnp.cjs'), 'utf8').catch(() => '')) + ((await root.read('.pnp.data.json')) ?? '')
  if (map === '') return
  const unplugged = await readdir(root.at('.yarn/unplugged')).catch(() => [])
  for (const name of await archives(root, layout)) {
    if (!map.includes(`/${name}/`) && !unplugged.some(dir => name.startsWith(dir)))
      await rm(root.at(layout.cacheFolder, name))
  }
}

async function provide(job: ManagerJob, { yarnPath }: BerryLayout): Promise<Tool> {
  const { registry, context, choice, project } = job
  if (yarnPath === undefined) {
    return provideTool(job, {
      command: 'yarn',
      name: 'Yarn',
      ...sourceOf(choice),
      async create(dir, version) {
        // Corepack's digest is of another file, from yarnpkg.com.
        await unpackTool(registry, '@yarnpkg/cli-dist', version, join(dir, 'yarn'))
        await writeNodeCommand(join(dir, 'bin'), 'yarn', join(dir, 'yarn/bin/yarn.js'))
      },
    })
  }
  if (!(await project.root.has(yarnPath))) {
    throw new BuildpackError(`${yarnPath} is not in the source`, {
      where: '.yarnrc.yml yarnPath',
      fix: `commit ${yarnPath}, or remove the line and name the version in package.json packageManager`,
    })
  }
  const version = /(\d+\.\d+\.\d+[\w.-]*?)\.c?js$/.exec(basename(yarnPath))?.[1] ?? '4.0.0'
  context.log.info(`Yarn ${version}: .yarnrc.yml yarnPath`)
  const layer = await context.layer('yarn', {
    types: { launch: job.launch, build: true, cache: true },
    key: { yarnPath },
    create: dir => writeNodeCommand(join(dir, 'bin'), 'yarn', project.root.at(yarnPath)),
  })
  return { version, bin: join(layer.path, 'bin') }
}

function sourceOf({ request, lock, lockFile }: ManagerChoice): ManagerSource {
  const range = versionsByFormat[lock?.format ?? ''] ?? '>=4'
  const preferred = { range, where: lockFile ?? 'the default' }
  return { package: '@yarnpkg/cli-dist', request: request ?? preferred, preferred }
}
