import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import {
  type BuildContext,
  type BuildResult,
  BuildpackError,
  byDefault,
  type Component,
  digestOf,
  drop,
  firstSetting,
  fromToolFiles,
  fromVersionFile,
  type Layer,
  packageUrl,
} from '../../sdk/index.ts'
import type { ManagerRequest } from '../manager.ts'
import { chooseVersion, unpackTool } from '../managers/fetch.ts'
import type { Registry } from '../../npm/registry.ts'
import { otherStart, webProcess } from '../start.ts'
import { npmEnv } from '../../npm/registry.ts'
import { tableOf } from '../../sdk/tables.ts'
import { parseYaml } from '../yaml.ts'
import { importsOf } from './imports.ts'
import { type DenoProject, denoStart } from './project.ts'

/** Packages with the program. */
const programs: Readonly<Record<string, string>> = {
  amd64: '@deno/linux-x64-glibc',
  arm64: '@deno/linux-arm64-glibc',
}

export const denoPackage = (arch: string): string => programs[arch] ?? '@deno/linux-x64-glibc'

/** Builds an application that Deno runs, without Node.js. */
export async function buildDeno(context: BuildContext, registry: Registry, project: DenoProject): Promise<BuildResult> {
  const { app, env, log, run } = context
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  const start = command ? { command: command.value, why: command.name } : denoStart(project)
  if (start === undefined && (await otherStart(app, env)) === undefined) {
    throw new BuildpackError('no start command found: no task "start", and no main.ts, server.ts, index.ts or app.ts', {
      where: project.config ?? 'deno.lock',
      fix: 'add a task "start" to deno.json, or a Procfile with a line "web: COMMAND"',
    })
  }
  const deno = await provideDeno(context, registry)
  const modules = await provideModules(context, project, deno)
  const buildEnv = {
    ...npmEnv(env, '/tmp/npm'),
    PATH: `${join(deno.path, 'bin')}:${env['PATH']}`,
    DENO_DIR: modules.path,
  }
  const build =
    firstSetting(env, 'RAILPACK_BUILD_CMD')?.value ?? (project.tasks['build']?.trim() ? 'deno task build' : undefined)
  if (build !== undefined)
    await log.step(`Running ${build}`, () =>
      run(['bash', '-c', build], { env: { ...buildEnv, DENO_DIR: '/tmp/deno' } }),
    )
  if (start) log.info(`Starts with: ${start.command} (${start.why})`)
  return {
    launch: {
      ...(start && { processes: [webProcess(start)] }),
      ...(project.nodeModules && { slices: [{ paths: ['node_modules'] }] }),
    },
  }
}

async function provideDeno(context: BuildContext, registry: Registry): Promise<Layer> {
  const source = {
    package: denoPackage(context.target.arch),
    request: await requested(context),
  }
  const version = await chooseVersion(registry, { name: 'Deno', ...source })
  context.log.info(`Deno ${version}: ${source.request.where} asks for ${source.request.range}`)
  return context.layer('deno', {
    title: `Deno ${version}`,
    types: { launch: true, build: true, cache: true },
    key: { Deno: version, architecture: context.target.arch },
    create: async dir => {
      const unpacked = join(dir, 'package')
      await unpackTool(registry, source.package, version, unpacked, source.request)
      await mkdir(join(dir, 'bin'))
      await rename(join(unpacked, 'deno'), join(dir, 'bin/deno'))
      await rm(unpacked, { recursive: true })
      return { env: { launch: { PORT: byDefault('8080'), DENO_NO_UPDATE_CHECK: byDefault('1') } } }
    },
    sbom: () =>
      Promise.resolve([{ name: 'deno', version, purl: packageUrl('npm', source.package, version), license: 'MIT' }]),
  })
}

/** @throws BuildpackError for a text that is not a version or a range */
async function requested({ app, env }: BuildContext): Promise<ManagerRequest> {
  const setting = firstSetting(env, 'BP_DENO_VERSION', 'RAILPACK_DENO_VERSION')
  const { value, where } = setting
    ? { value: setting.value, where: setting.name }
    : ((await fromVersionFile(app, '.dvmrc')) ??
      (await fromToolFiles(app, 'deno')) ?? { value: '2.x', where: 'the default' })
  const range = ['latest', 'stable'].includes(value) ? '*' : value
  if (semver.validRange(range) !== null) return { range, where }
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Deno or a range of versions`, {
    where,
    fix: 'write for example "2.x"',
  })
}

/** The application's imports, in the cache that Deno uses in the image. No code of the application runs at this point. */
async function provideModules(context: BuildContext, project: DenoProject, deno: Layer): Promise<Layer> {
  const { app, env, run } = context
  const { lockFile, config, entry, nodeModules } = project
  const lock = lockFile === undefined ? undefined : await app.read(lockFile)
  const texts = await Promise.all(
    [config, 'package.json', '.npmrc'].map(async name => (name && (await app.read(name))) ?? ''),
  )
  const key = {
    Deno: deno.path,
    [lockFile ?? 'deno.lock']: digestOf(lock ?? ''),
    settings: digestOf(...texts),
    imports: digestOf(...(await importsOf(app))),
  }
  return context.layer('deno-modules', {
    title: 'modules for Deno',
    types: { launch: true, cache: true },
    key,
    ...((lock === undefined || nodeModules) && {
      restore: () => drop(nodeModules ? 'they are also in node_modules' : 'there is no deno.lock'),
    }),
    create: async dir => {
      const hadLock = await app.has('deno.lock')
      const entries = entry === undefined ? [] : ['--entrypoint', entry]
      const frozen = lock === undefined ? [] : ['--frozen']
      const argv = [join(deno.path, 'bin/deno'), 'install', ...frozen, ...entries] as const
      await run(argv, {
        name: argv.slice(1).join(' '),
        env: { ...npmEnv(env, '/tmp/npm'), DENO_DIR: dir, DENO_TLS_CA_STORE: 'system', NO_COLOR: '1' },
        fix: stderr =>
          /lockfile is out of date|lock file is out of date/i.test(stderr)
            ? 'run "deno install" and commit deno.lock'
            : undefined,
      })
      await tidy(dir, lock !== undefined)
      // Deno takes npm packages from node_modules if it has created that folder. Without a lock file, which this installation may have
      // written, --cached-only also needs the registry's lists of versions, which are beside the packages.
      const isLocked = lock !== undefined || (!hadLock && (await app.has('deno.lock')))
      if (isLocked && nodeModules && (await app.hasDirectory('node_modules/.deno')))
        await rm(join(dir, 'npm'), { recursive: true, force: true })
      return { env: { launch: { DENO_DIR: byDefault(dir) } } }
    },
    sbom: () => Promise.resolve(lock === undefined ? [] : lockedPackages(lock)),
  })
}

/** Keeps only the application's imports. The rest contains times and paths of this build, and Deno creates it again. */
async function tidy(dir: string, isLocked: boolean): Promise<void> {
  const names = (await readdir(dir)).filter(name => /_cache_v\d+/.test(name))
  await Promise.all([...names, 'gen/file'].map(name => rm(join(dir, name), { recursive: true, force: true })))
  if (!isLocked) return
  // The registry's list of all versions of a package, which changes without the package. The lock file names the version.
  for (const entry of await readdir(join(dir, 'npm'), { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.name === 'registry.json') await rm(join(entry.parentPath, entry.name))
  }
}

/** Packages of npm and JSR in a lock file: `{ npm: { "is-odd@3.0.1": … }, jsr: { "@std/path@1.0.0": … } }`. */
function lockedPackages(text: string): Component[] {
  const lock = parseYaml(text, 'deno.lock')
  return ['npm', 'jsr'].flatMap(kind =>
    Object.keys(tableOf(lock[kind])).flatMap(spec => {
      const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(spec) ?? []
      if (name === undefined || version === undefined) return []
      return [{ name, version, purl: packageUrl(kind === 'npm' ? 'npm' : 'generic', name, version) }]
    }),
  )
}
