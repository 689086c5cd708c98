import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { keep, withTempDir } from '../../sdk/index.ts'
import { componentsOf, type InstalledPackage, installedPackages } from '../installed.ts'
import { readBunLock } from '../lock-file.ts'
import type { ManagerChoice, ManagerJob, ManagerKind, ManagerSource, PackageManager } from '../manager.ts'
import { unpackTool } from './fetch.ts'
import { runtimeEnv } from '../runtime.ts'
import { linkCache } from './bun-cache.ts'
import { installKey } from './install-key.ts'
import { removeDeadLinks } from './links.ts'
import { runNamedScript } from './scripts.ts'
import { commandOf, outdatedLock, provideTool, toolEnv } from './tool.ts'

export const bun: ManagerKind = {
  id: 'bun',
  name: 'Bun',
  lockFiles: ['bun.lock', 'bun.lockb'],
  newLockFile: 'bun.lock',
  commands: ['bun', 'bunx'],
  readLock: readBunLock,
  readers: () => textLock,
  source: (choice, _project, arch) => Promise.resolve(sourceOf(choice, arch)),
  use: (job, work) => withTempDir(async temp => work(await open(job, temp))),
}

/** Packages with the program. The one for amd64 also runs on processors without AVX2. */
const programs: Readonly<Record<string, string>> = {
  amd64: '@oven/bun-linux-x64-baseline',
  arm64: '@oven/bun-linux-aarch64',
}

export const bunPackage = (arch: string): string => programs[arch] ?? '@oven/bun-linux-x64-baseline'

/** The versions that write bun.lock. */
const textLock = '>=1.2'

function sourceOf({ request, lockFile }: ManagerChoice, arch: string): ManagerSource {
  const range = lockFile === 'bun.lock' ? textLock : '>=1'
  return {
    package: bunPackage(arch),
    request: request ?? { range, where: lockFile ?? 'the default' },
  }
}

async function open(job: ManagerJob, temp: string): Promise<PackageManager> {
  const { context, project, choice, registry } = job
  const { root } = project
  const source = sourceOf(choice, context.target.arch)
  const tool = await provideTool(job, {
    command: 'bun',
    name: 'Bun',
    ...source,
    ...(job.withoutNode && { env: runtimeEnv(project) }),
    async create(dir, version) {
      await unpackTool(registry, source.package, version, dir)
      await symlink('bun', join(dir, 'bin/bunx'))
    },
  })
  const store = await context.layer('bun-cache', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  // The cache that scripts and all later programs write to.
  const cache = join(temp, 'cache')
  const env = { ...(await toolEnv(job, tool.bin, temp)), BUN_INSTALL_CACHE_DIR: cache, DO_NOT_TRACK: '1' }
  const fix = outdatedLock(/lockfile had changes|lockfile is frozen/, 'bun install', choice.lockFile)
  const command = commandOf(context, 'bun', { cwd: root.path, env, fix })
  // With links to the cache, a script of a package could change it.
  const usual = ['--backend=copyfile', '--no-progress', ...(choice.lockFile ? ['--frozen-lockfile'] : ['--no-save'])]
  const dirs = ['', ...project.members.map(({ dir }) => dir)]
  const modules = dirs.map(dir => root.at(dir, 'node_modules'))
  const clean = () => Promise.all(modules.map(dir => rm(dir, { recursive: true, force: true })))
  const production = ['--production', ...usual]
  const which = (dev: boolean) => (dev ? usual : production)
  return {
    version: tool.version,
    env,
    store,
    installTitle: 'bun install',
    installedPaths: dirs.map(dir => join(dir, 'node_modules')),
    key: ({ dev }) => installKey(job, tool.version, dev, choice.lock?.complete === true),
    async install({ dev }) {
      await clean()
      await command(['install', ...which(dev), '--ignore-scripts'], { BUN_INSTALL_CACHE_DIR: store.path })
    },
    // Bun runs only scripts of packages that it installs in the same run.
    async runInstallScripts({ dev }) {
      await linkCache(store.path, cache)
      await takeOut((await installedPackages(root.path, dirs)).filter(({ hasScripts }) => hasScripts))
      await command(['install', ...which(dev)])
    },
    rebuild: async () => void (await command(['install', ...usual], { BUN_INSTALL_CACHE_DIR: store.path })),
    async runScript(script, options) {
      await linkCache(store.path, cache)
      await runNamedScript(context, env, 'bun', script, options)
    },
    /**
     * Bun has no command for this. Packages that a production installation would not install are removed; files that the build made
     * stay.
     */
    async prune() {
      await linkCache(store.path, cache)
      const before = await installedPackages(root.path, dirs)
      const aside = (index: number) => join(temp, 'aside', String(index))
      await mkdir(join(temp, 'aside'))
      await Promise.all(modules.map((dir, index) => move(dir, aside(index))))
      await command(['install', ...production, '--ignore-scripts'])
      const wanted = new Set((await installedPackages(root.path, dirs)).map(({ path }) => path))
      await clean()
      await Promise.all(modules.map((dir, index) => move(aside(index), dir)))
      for (const { path } of before) {
        if (!wanted.has(path)) await rm(root.at(path), { recursive: true, force: true })
      }
      for (const dir of modules) await removeDeadLinks(dir)
    },
    sbom: async () => componentsOf(await installedPackages(root.path, dirs)),
  }

  /** Links point to packages in Bun's own folder, where Bun checks whether they are installed, so all are removed. */
  async function takeOut(packages: readonly InstalledPackage[]): Promise<void> {
    if (packages.some(({ path }) => path.includes('/.bun/'))) await clean()
    else await Promise.all(packages.map(({ path }) => rm(root.at(path), { recursive: true, force: true })))
  }

  async function move(from: string, to: string): Promise<void> {
    await context.run(['sh', '-c', '[ ! -e "$1" ] || exec mv "$1" "$2"', 'sh', from, to], { quiet: true })
  }
}
