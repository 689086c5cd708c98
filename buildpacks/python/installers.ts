import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { compare } from '@renovatebot/pep440'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import {
  type BuildContext,
  BuildpackError,
  digestOf,
  firstSetting,
  type OwnCommand,
  type RunOptions,
} from '../sdk/index.ts'
import { certificates, compileEnv, pipEnv, pipInstall, type ResolvedPackage, scmVersion, type Tools } from './pip.ts'
import type { LockTool, Project } from './project.ts'
import { readRequirements } from './requirements.ts'
import { installError, readSettings } from './settings.ts'
import type { LockToolUse } from './tools.ts'
import { uvEnv } from './uv.ts'
import { type Table, tableOf } from '../sdk/tables.ts'

/** The packages to install, what they depend on, and how to install them. */
export interface Installation {
  /** The files that list the packages, for users. */
  readonly title: string
  /** The installer and its version. */
  readonly installer: string
  readonly digest: string
  /** The place of something that no digest covers; then the packages are installed in each build. */
  readonly open: string | undefined
  /** The requirements that leave versions to the index: as long as pip chooses the same versions, the packages are the same. */
  readonly chosenByIndex?: readonly string[] | undefined
  /** Installs into the virtual environment at `venv`, and returns pip's choices; none for packages that a lock file fixes. */
  install(venv: string): Promise<readonly ResolvedPackage[]>
}

/** The files that list the packages of a project. */
export async function packageFilesOf({ app, env }: BuildContext, project: Project): Promise<readonly string[]> {
  if (project.kind !== 'requirements') return ['pyproject.toml', 'setup.py', 'setup.cfg', 'Pipfile', ...lockFileNames]
  return (await readRequirements(app, project.files, readSettings(env).files)).files
}

const lockFileNames = ['uv.lock', 'poetry.lock', 'pdm.lock', 'Pipfile.lock']

/** Plans the installation of a project's packages; undefined if there is nothing to install. */
export async function planInstallation(
  context: BuildContext,
  tools: Tools,
  project: Project,
): Promise<Installation | undefined> {
  const own = await context.ownCommand('install')
  if (own !== undefined) return ownInstallation(context, tools, own)
  if (project.kind === 'requirements') return pipInstallation(context, tools, project.files)
  if (project.kind === 'package') return packageInstallation(context, tools, project.file)
  if (project.kind !== 'locked' || tools.lockTool === undefined) return undefined
  return project.tool === 'pipenv'
    ? pipenvInstallation(context, tools, tools.lockTool, project.file)
    : lockInstallation(context, tools, tools.lockTool, project.tool, project.file)
}

/** The user's own command. It runs in each build, since the files that it reads are not known. */
function ownInstallation(context: BuildContext, tools: Tools, { name, value }: OwnCommand): Installation {
  const install = async (venv: string) => {
    const bin = join(tools.temp, 'own-bin')
    await mkdir(bin)
    await writeFile(join(bin, 'pip'), '#!/bin/sh\nexec python -m pip "$@"\n', { mode: 0o755 })
    const path = [join(venv, 'bin'), bin, ...(tools.lockTool ? [dirname(await tools.lockTool.provide())] : [])]
    const variables = { ...toolEnv(context, tools, venv), ...pipEnv(context, tools) }
    const rest = tools.native.env['PATH'] ?? context.env['PATH'] ?? ''
    const env = { ...variables, PIP_CACHE_DIR: join(tools.cache, 'pip'), PATH: [...path, rest].join(':') }
    await context.run(['pip', 'install'], { env, step: 'install' })
    return []
  }
  return { title: name, installer: `pip ${tools.pip.version}`, digest: digestOf(value), open: name, install }
}

async function pipInstallation(context: BuildContext, tools: Tools, names: readonly string[]): Promise<Installation> {
  const settings = readSettings(context.env)
  const requirements = await readRequirements(context.app, names, settings.files)
  const vendored = firstSetting(context.env, 'GOOGLE_VENDOR_PIP_DEPENDENCIES')
  if (vendored && !(await context.app.hasDirectory(vendored.value))) {
    throw new BuildpackError(`there is no directory ${vendored.value}`, {
      where: vendored.name,
      fix: `fill it with pip download -d ${vendored.value} ${requirements.args.join(' ')}`,
    })
  }
  const args = [...(vendored ? ['--no-index', '--find-links', vendored.value] : []), ...requirements.args]
  return {
    title: requirements.title,
    installer: `pip ${tools.pip.version}`,
    digest: digestOf(requirements.digest, settings.digest, ...args),
    open: settings.open ?? vendored?.name ?? requirements.open,
    chosenByIndex: requirements.hashed ? undefined : args,
    install: venv => pipInstall(context, tools, venv, args, requirements.title),
  }
}

/**
 * An application that is itself a project. If its metadata is static and it has no build system, pip installs its dependencies.
 * Otherwise pip asks the build system, which may read anything, so pip runs in each build.
 */
async function packageInstallation(
  context: BuildContext,
  tools: Tools,
  file: 'pyproject.toml' | 'setup.py',
): Promise<Installation> {
  const settings = readSettings(context.env)
  const installer = `pip ${tools.pip.version}`
  const document = parseToml((await context.app.read('pyproject.toml')) ?? '', 'pyproject.toml')
  const project = tableOf(document['project'])
  const dynamic = Array.isArray(project['dynamic']) && project['dynamic'].includes('dependencies')
  if (file === 'setup.py' || document['build-system'] !== undefined || dynamic) {
    const install = (venv: string) => pipInstall(context, tools, venv, ['--editable', '.'], file)
    return { title: file, installer, digest: settings.digest, open: file, install }
  }
  const dependencies = Array.isArray(project['dependencies']) ? project['dependencies'].map(String) : []
  const list = join(tools.temp, 'requirements.txt')
  await writeFile(list, `${dependencies.join('\n')}\n`)
  const isFixed = dependencies.every(dependency => !dependency.includes('@'))
  return {
    title: file,
    installer,
    digest: digestOf(settings.digest, ...dependencies),
    open: settings.open ?? settings.files[0]?.where ?? (isFixed ? undefined : file),
    chosenByIndex: dependencies.length === 0 ? undefined : ['-r', list],
    install: venv => pipInstall(context, tools, venv, ['-r', list], file),
  }
}

/** Pipenv prints its locked packages in pip's format, with hashes, and pip installs them. */
async function pipenvInstallation(
  context: BuildContext,
  tools: Tools,
  lockTool: LockToolUse,
  file: string,
): Promise<Installation> {
  const settings = readSettings(context.env)
  const lock = await context.app.read('Pipfile.lock')
  if (lock === undefined) {
    context.log.warning('there is no Pipfile.lock: the newest versions are installed', 'Commit one: pipenv lock')
  }
  const open = lock === undefined ? file : /"(?:path|file|git)"\s*:/.test(lock) ? 'Pipfile.lock' : settings.open
  const install = async (venv: string) => {
    const pipenv = await lockTool.provide()
    const env = { ...toolEnv(context, tools, venv), PIPENV_PIPFILE: context.app.at('Pipfile') }
    if (lock === undefined) {
      await runTool(context, [pipenv, 'lock'], file, { env })
    }
    const { stdout } = await runTool(context, [pipenv, 'requirements', '--hash'], file, { env, quiet: true })
    const list = join(tools.temp, 'pipenv.txt')
    await writeFile(list, stdout)
    return pipInstall(context, tools, venv, ['-r', list], file)
  }
  const installer = `pipenv ${lockTool.version}`
  return { title: file, installer, digest: digestOf(lock ?? '', settings.digest), open, install }
}

async function lockInstallation(
  context: BuildContext,
  tools: Tools,
  lockTool: LockToolUse,
  tool: Exclude<LockTool, 'pipenv'>,
  file: string,
): Promise<Installation> {
  const { app, env } = context
  const settings = readSettings(env)
  const lock = (await app.read(file)) ?? ''
  const manifest = (await app.read('pyproject.toml')) ?? ''
  const document = parseToml(manifest, 'pyproject.toml')
  const isPackage = await isInstalledItself(context, tool, document)
  // uv.lock names the project itself as `virtual`. Every other path is a package whose files no lock file fixes.
  const local = /^(?:path|directory|editable) = |\{ ?(?:path|directory|editable) = |^type = "(?:directory|file)"/m
  const isLocal = local.test(isPackage ? lock : lock.replaceAll('source = { editable = "." }', ''))
  const unlocked = file === 'pyproject.toml'
  const groups = firstSetting(env, 'BP_POETRY_INSTALL_ONLY')?.value ?? 'main'
  const commands: Record<typeof tool, string[]> = {
    uv: ['sync', ...(unlocked ? [] : ['--locked']), '--no-default-groups', '--no-progress'],
    poetry: [
      // In a new environment both commands have the same effect; Poetry 1 has no `sync`.
      ...(unlocked || compare(lockTool.version, '2.0') < 0 ? ['install'] : ['sync']),
      ...['--only', groups, '--no-interaction', '--no-ansi'],
      ...(isPackage ? [] : ['--no-root']),
    ],
    pdm: [unlocked ? 'install' : 'sync', '--prod', '--no-self'],
  }
  const lockName = `${tool}.lock`
  if (unlocked)
    context.log.warning(`there is no ${lockName}: the newest versions are installed`, `Commit one: ${tool} lock`)
  const install = async (venv: string) => {
    const program = await lockTool.provide()
    const options = { env: toolEnv(context, tools, venv) }
    await runTool(context, [program, ...commands[tool]], file, options)
    // The tool has written a lock file. The image keeps the source unchanged.
    if (unlocked) await rm(app.at(lockName), { force: true })
    if (tool === 'pdm' && isPackage) {
      await pipInstall(context, tools, venv, ['--no-deps', '--editable', '.'], 'pyproject.toml')
    }
    return []
  }
  return {
    title: file,
    installer: `${tool} ${lockTool.version}`,
    digest: digestOf(
      lock,
      manifest,
      (await app.read('uv.toml')) ?? '',
      (await app.read('poetry.toml')) ?? '',
      ...(tool === 'poetry' && groups !== 'main' ? [groups] : []),
      settings.digest,
    ),
    open: unlocked || isLocal ? file : isPackage ? 'pyproject.toml' : (settings.open ?? settings.files[0]?.where),
    install,
  }
}

/** Whether the tool would also install the project itself, beside its dependencies. */
async function isInstalledItself({ app }: BuildContext, tool: LockTool, document: Table) {
  const settings = tableOf(tableOf(document['tool'])[tool])
  if (tool === 'uv')
    return settings['package'] === true || (document['build-system'] !== undefined && settings['package'] !== false)
  if (tool === 'pdm') return document['build-system'] !== undefined && settings['distribution'] !== false
  if (settings['package-mode'] === false) return false
  const name: unknown = settings['name'] ?? tableOf(document['project'])['name']
  if (settings['packages'] !== undefined) return true
  if (typeof name !== 'string' || name === '') return false
  const module = name.toLowerCase().replaceAll(/[-.]+/g, '_')
  return (
    (await app.hasDirectory(module)) || (await app.hasDirectory(`src/${module}`)) || (await app.has(`${module}.py`))
  )
}

function toolEnv(context: BuildContext, tools: Tools, venv: string): Record<string, string> {
  return {
    ...compileEnv(context, tools),
    ...uvEnv(context),
    VIRTUAL_ENV: venv,
    PATH: `${join(venv, 'bin')}:${tools.native.env['PATH'] ?? context.env['PATH'] ?? ''}`,
    UV_PROJECT_ENVIRONMENT: venv,
    UV_PYTHON: join(venv, 'bin/python'),
    UV_PYTHON_DOWNLOADS: 'never',
    UV_CACHE_DIR: join(tools.cache, 'uv'),
    POETRY_CACHE_DIR: join(tools.cache, 'poetry'),
    POETRY_VIRTUALENVS_CREATE: 'false',
    PDM_CACHE_DIR: join(tools.cache, 'pdm'),
    PDM_IGNORE_SAVED_PYTHON: '1',
    PDM_CHECK_UPDATE: 'false',
    PIPENV_CACHE_DIR: join(tools.cache, 'pipenv'),
    PIPENV_IGNORE_VIRTUALENVS: '0',
    PIPENV_NOSPIN: '1',
    REQUESTS_CA_BUNDLE: certificates(context),
  }
}

async function runTool(
  context: BuildContext,
  argv: readonly [string, ...string[]],
  where: string,
  options: RunOptions,
) {
  const env = { ...options.env, ...(await scmVersion(context)) }
  const result = await context.run(argv, { ...options, env, allowFailure: true })
  if (result.exitCode === 0) return result
  const name = [argv[0].replace(/.*\//, ''), ...argv.slice(1)].join(' ')
  if (options.quiet === true) context.log.detail(result.stderr)
  throw installError(name, where, result.stdout + result.stderr, result.exitCode)
}
