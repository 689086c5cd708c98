import { DebianArchive } from '../debian/archive.ts'
import { provideNativePackages } from '../debian/native-libraries.ts'
import { debianOffers } from '../debian/offers.ts'
import { provideLibraries } from '../debian/shared-libraries.ts'
import {
  type BuildContext,
  type BuildResult,
  BuildpackError,
  declaredStart,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  findDocumentation,
  fail,
  type HomeFiles,
  keep,
  noSubcommand,
  type Offer,
  pass,
  rejectSettings,
  shellProcess,
  subcommandArguments,
  withHomeFiles,
  withTempDir,
  warnOfListening,
} from '../sdk/index.ts'
import { findBrowser } from './browser.ts'
import { collectStatic } from './django.ts'
import { buildDocumentation } from './documentation.ts'
import type { Installed } from './installed.ts'
import { packageFilesOf, planInstallation } from './installers.ts'
import { provideServeOnPort } from './listen.ts'
import { pythonListening, startedFiles } from './listening.ts'
import { refuseInlineScript, warnOfMissing } from './missing.ts'
import { buildPackages, declaredPackages, geoDjangoPackages, refusedWheels, runPackages } from './native.ts'
import { checkProject, findProject, otherTools, type Project } from './project.ts'
import { provideDebianPython, provideHeaders, providePip, type Python } from './runtime.ts'
import { rejectedSettings } from './settings.ts'
import { checkStart, findStart, noStart } from './start.ts'
import { chooseLockTool, provideAskedPip } from './tools.ts'
import { type Installer, installerNames, listVersions } from './tool-versions.ts'
import { listDownloads, provideDownloadedPython, provideUv, type Uv } from './uv.ts'
import { provideVenv } from './venv.ts'
import { chooseVersion, contradictions, type Wanted, wantedPython } from './version.ts'
import { workerProcesses } from './workers.ts'

/** Python applications, with pip, uv, Poetry, PDM or Pipenv. */
export const python = defineBuildpack({
  detect,
  build: context => withHomeFiles(context, homeFiles, () => build(context)),
  ownCommands: 'after',
  offers,
})

/** Settings of installers by binding: indexes, and their credentials. */
const homeFiles: HomeFiles = {
  pip: { 'pip.conf': '.config/pip/pip.conf' },
  uv: { 'uv.toml': '.config/uv/uv.toml' },
  poetry: { 'auth.toml': '.config/pypoetry/auth.toml' },
  netrc: { '.netrc': '.netrc', netrc: '.netrc' },
}

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'python')
  if (found.role === 'none') return fail(found.reason)
  const project = await findProject(app, env)
  if (project === undefined && (await declaredStart(app, env)) === undefined)
    return fail('no requirements.txt, and no main.py, app.py, wsgi.py, asgi.py or server.py')
  // This buildpack has to report a misspelt or foreign file: if it did not take part, another buildpack might make an image without
  // Python.
  return pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Python')
  const project = (await findProject(app, env)) ?? { kind: 'plain', file: '' }
  checkProject(project)
  await refuseInlineScript(context, project)
  const others = await otherTools(app, project)
  if (others !== undefined) log.warning(others, 'Remove the files of the others.')
  rejectSettings(env, rejectedSettings, 'packages would not be installed in the image')
  // Nothing is downloaded before the requested version is valid and something can start.
  const wanted = await wantedPython(context)
  // Python generates files that another language's buildpack serves, and is not in the image.
  const launch = context.plan.length === 0 || context.plan.some(({ metadata }) => metadata['launch'] !== false)
  if (launch) await checkStart(app, env)
  const installed = await withTempDir(temp => install(context, project, wanted, { temp, launch }))
  if (!launch) return {}

  const elsewhere = (await app.has('Procfile')) || (await declaredStart(app, env)) !== undefined
  const found = await findStart(app, env, installed)
  const args = subcommandArguments(log, found?.subcommand ?? noSubcommand, found?.command ?? '', elsewhere)
  const start = found && { ...found, command: [found.command, ...args].join(' ') }
  const { worker, flower } = await workerProcesses(app, installed)
  if (start === undefined && worker === undefined && !elsewhere) throw noStart(installed)
  if (start === undefined) {
    if (worker === undefined || elsewhere) return {}
    log.info(`Starts with: ${worker} (no file starts a server)`)
    return { launch: { processes: [shellProcess('worker', worker, { default: true }), ...flowerProcess(flower)] } }
  }
  log.info(`Starts with: ${start.command} (${start.why})`)
  if (start.command.includes('runserver')) {
    log.warning('the development server of Django is used', 'Add gunicorn to requirements.txt.')
  }
  const started = await startedFiles(app, start.command)
  if (started.size > 0) await warnOfListening(app, log, pythonListening, file => started.has(file))
  const processes = [shellProcess('web', start.command, { default: true })]
  if (worker !== undefined) processes.push(shellProcess('worker', worker))
  await provideServeOnPort(context, start.command)
  return { launch: { processes: [...processes, ...flowerProcess(flower)] } }
}

const flowerProcess = (command: string | undefined) => (command === undefined ? [] : [shellProcess('flower', command)])

async function install(
  context: BuildContext,
  project: Project,
  wanted: Wanted,
  { temp, launch }: { readonly temp: string; readonly launch: boolean },
): Promise<Installed> {
  const archive = await DebianArchive.open(context, temp)
  // Each is one layer, which is finished once: a sealed layer is not provided again.
  const pipOfDebian = once(() => providePip(context, archive))
  const uv = once(async () => provideUv(context, await pipOfDebian(), temp))
  const python = await choosePython(context, archive, wanted, uv, launch)
  const installs = (await context.ownCommand('install')) !== undefined
  if (project.kind === 'plain' && !installs) {
    if (launch) await warnOfMissing(context, python)
    return new Set()
  }
  const debianPip = await pipOfDebian()
  const pip = await provideAskedPip(context, python, debianPip)
  const base = { python, pip: debianPip, temp }
  const lockTool = project.kind === 'locked' ? await chooseLockTool(context, base, project.tool, uv) : undefined
  const cache = await context.layer('pip-cache', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  const include = await provideHeaders(context, archive, python)
  const files = await packageFilesOf(context, project)
  const compiled = buildPackages(await declaredPackages(context.app, files), await refusedWheels(context, files))
  const native = await provideNativePackages(context, archive, compiled)
  const tools = { python, pip, include, temp, cache: cache.path, lockTool, native }
  const installation = await planInstallation(context, tools, project)
  if (installation === undefined) return new Set()
  const documentation = launch ? undefined : await findDocumentation(context.app)
  const builds = (await context.ownCommand('build')) !== undefined
  const restored = documentation !== undefined || builds || (await context.app.has('manage.py'))
  const venv = await provideVenv(context, tools, installation, { restored, launch })
  const { layer, installed, linked } = venv
  const { packages = [], ...browser } = (launch ? await findBrowser(context, venv) : undefined) ?? {}
  const loaded = [...runPackages(installed), ...(await geoDjangoPackages(context.app, installed))]
  const names = [...new Set([...linked, ...loaded, ...packages])].toSorted()
  const libraryOptions = { restored, launch, ...browser }
  const libraries = names.length > 0 ? [await provideLibraries(context, archive, names, libraryOptions)] : []
  if (documentation !== undefined) {
    const paths = [...libraries, python.libraries].join(':')
    const variables = { ...python.env, LD_LIBRARY_PATH: paths }
    await buildDocumentation(context, documentation, { venv: layer.path, installed, variables })
    return installed
  }
  await collectStatic(context, python, { venv: layer.path, installed, libraries })
  return installed
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

/** Debian's Python, the versions that uv can download, and the package index's versions of the installers. */
function offers(context: BuildContext): Promise<Offer[]> {
  return withTempDir(async temp => {
    const archive = await DebianArchive.open(context, temp)
    const debian = await debianOffers(context, { Python: [`python${debianPython(context)}`] })
    const pip = await providePip(context, archive)
    const uv = await provideUv(context, pip, temp)
    const from = `builds that uv ${uv.version} downloads, or those of UV_PYTHON_INSTALL_MIRROR`
    const python = { name: 'Python', from, versions: await listDownloads(context, uv) }
    const installers = Object.entries(installerNames).map(async ([tool, name]) => ({
      name,
      from: `the package index, for Python ${debianPython(context)}`,
      versions: await listVersions(context, pip, tool as Installer, debianPython(context)),
    }))
    return [...debian, python, ...(await Promise.all(installers))]
  })
}

/** Debian's Python if it satisfies the request, else one that uv downloads. */
async function choosePython(
  context: BuildContext,
  archive: DebianArchive,
  wanted: Wanted,
  provide: () => Promise<Uv>,
  launch: boolean,
): Promise<Python> {
  const { log } = context
  const minor = debianPython(context)
  const packages = await archive.resolve([`python${minor}`])
  const debian = packages.find(({ name }) => name === `python${minor}`)?.version.replace(/[-+].*/, '') ?? minor
  const asks = `${wanted.request?.where} asks for ${wanted.request?.value}`
  const version = await chooseVersion(wanted, debian, async () => listDownloads(context, await provide()))
  const why = wanted.request ? asks : 'the version of the stack, as nothing requests another'
  log.info(`Python ${version}: ${why}${version === debian ? '' : `, and Debian has ${debian}`}`)
  for (const text of contradictions(wanted, version)) log.warning(text, 'Change one of the two.')
  if (version === debian) return provideDebianPython(context, archive, minor, launch)
  return provideDownloadedPython(context, await provide(), version, launch)
}

/** The one version of Python that each Debian release has. */
function debianPython({ target }: BuildContext): string {
  const release = target.distro?.version ?? '13'
  const minor = { '13': '3.13' }[release]
  if (minor !== undefined) return minor
  throw new BuildpackError(`there is no Python for ${target.distro?.name} ${release}`, {
    fix: 'build on a stack of Debian 13',
  })
}
