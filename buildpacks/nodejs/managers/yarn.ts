import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { keep, withTempDir } from '../../sdk/index.ts'
import { componentsOf, installedPackages } from '../installed.ts'
import { readYarnLock } from '../lock-file.ts'
import type { ManagerChoice, ManagerJob, ManagerKind, ManagerSource, PackageManager } from '../manager.ts'
import { unpackTool } from './fetch.ts'
import { installKey } from './install-key.ts'
import { runNamedScript } from './scripts.ts'
import { commandOf, outdatedLock, provideTool, toolEnv, withoutWarnings, writeNodeCommand } from './tool.ts'

/** Yarn 1. */
export const yarn: ManagerKind = {
  id: 'yarn',
  name: 'Yarn',
  lockFiles: ['yarn.lock'],
  newLockFile: 'yarn.lock',
  commands: ['yarn', 'yarnpkg'],
  readLock: readYarnLock,
  readers: () => '1.x',
  source: choice => Promise.resolve(sourceOf(choice)),
  use: (job, work) => withTempDir(async temp => work(await open(job, temp))),
}

function sourceOf({ request, lockFile }: ManagerChoice): ManagerSource {
  // The package also has releases of Yarn 2.
  const preferred = { range: '1.x', where: lockFile ?? 'the default' }
  return { package: 'yarn', request: request ?? preferred, preferred }
}

async function open(job: ManagerJob, temp: string): Promise<PackageManager> {
  const { context, project, choice, registry } = job
  const { root } = project
  const tool = await provideTool(job, {
    command: 'yarn',
    name: 'Yarn',
    ...sourceOf(choice),
    async create(dir, version) {
      await unpackTool(registry, 'yarn', version, join(dir, 'yarn'), choice.request)
      await writeNodeCommand(join(dir, 'bin'), 'yarn', join(dir, 'yarn/bin/yarn.js'))
    },
  })
  // Yarn compares the digest of an archive with the lock file whenever it unpacks one. Its cache of unpacked packages is not kept,
  // since nothing checks those.
  const mirror = await context.layer('yarn-archives', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  const ownMirror = /^\s*"?yarn-offline-mirror"?\s/m.test((await root.read('.yarnrc')) ?? '')
  const env: Record<string, string> = {
    ...(await toolEnv(job, tool.bin, temp)),
    YARN_CACHE_FOLDER: join(temp, 'yarn-cache'),
    ...(!ownMirror && { YARN_YARN_OFFLINE_MIRROR: mirror.path }),
    ...withoutWarnings(job),
  }
  const fix = outdatedLock(/lockfile needs to be updated/, 'yarn install', choice.lockFile)
  const command = commandOf(context, 'yarn', { cwd: root.path, env, fix })
  const frozen = choice.lockFile === undefined ? ['--no-lockfile'] : ['--frozen-lockfile']
  const dirs = ['', ...project.members.map(({ dir }) => dir)]
  const clean = () => Promise.all(dirs.map(dir => rm(root.at(dir, 'node_modules'), { recursive: true, force: true })))
  const which = (dev: boolean) => (dev ? '--production=false' : '--production=true')
  return {
    version: tool.version,
    env,
    installTitle: 'yarn install',
    installedPaths: dirs.map(dir => join(dir, 'node_modules')),
    key: ({ dev }) => installKey(job, tool.version, dev, choice.lock?.complete === true),
    // Yarn runs only scripts of packages that it installs in the same run, after it has fetched all packages.
    async install({ dev }) {
      await clean()
      await command(['install', ...frozen, which(dev), '--prefer-offline', '--non-interactive'])
    },
    inSteps: {
      async install({ dev }) {
        await clean()
        await command(['install', ...frozen, which(dev), '--ignore-scripts', '--non-interactive'])
      },
    },
    rebuild: async () => void (await command(['install', ...frozen, '--force', '--non-interactive'])),
    runScript: (script, options) => runNamedScript(context, env, 'yarn', script, options),
    async prune() {
      const only = ['--production=true', '--ignore-scripts', '--prefer-offline', '--non-interactive']
      await command(['install', ...frozen, ...only])
    },
    sbom: async () => componentsOf(await installedPackages(root.path, dirs)),
  }
}
