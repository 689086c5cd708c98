import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError, declaredStart, firstSetting, shellQuote } from '../sdk/index.ts'
import { celeryFiles } from './celery.ts'
import { djangoServer, djangoStart, serve, type Server, serverFor } from './serve.ts'
import { frameworkStart, functionStart, notebooks } from './framework-servers.ts'
import {
  candidateFiles,
  findPackageTarget,
  findTarget,
  onlyFile,
  packageFiles,
  packageModules,
  protocolOf,
  readTarget,
  runsItself,
  startFiles,
  type Target,
} from './target.ts'
import type { Installed } from './venv.ts'

type Env = Readonly<Record<string, string>>

/** What starts the application, and why this. */
export interface Start {
  readonly command: string
  readonly why: string
}

/** What starts the application; undefined if nothing is recognised. */
export async function findStart(app: App, env: Env, installed: Installed): Promise<Start | undefined> {
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  if (command) return { command: command.value, why: command.name }
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named) return fromSetting(app, named, installed)
  const served = await functionStart(app, env, installed)
  if (served) return served
  if (installed.has('django') && (await app.has('manage.py'))) return djangoStart(app, installed)
  const scripts = await readScripts(app)
  const script = scripts && isInstalled(scripts, installed) ? scripts : undefined
  if (script?.named !== undefined) return scriptStart(script.named, script.file)
  const target = await findTarget(app, installed)
  const start = target && serve(target, installed)
  if (start) return start
  const framework = await frameworkStart(app, installed)
  if (framework) return framework
  if (script?.only !== undefined) return scriptStart(script.only, script.file)
  const known = await app.firstOf(startFiles)
  if (known === undefined) {
    const inPackage = (await packageStart(app)) ?? (await packageTargetStart(app, installed))
    if (inPackage) return inPackage
  }
  const file = known ?? (await onlyFile(app))
  if (file === undefined) return undefined
  const source = (await app.read(file)) ?? ''
  // A module that makes an application and does not run it would only end.
  if ((installed.has('flask') || /\bCelery\(/.test(source)) && !runsItself(source)) return undefined
  return { command: `python ${shellQuote(file)}`, why: `${file} is there` }
}

/** The object of a package of the application's own, where there is no other start: `shop/__init__.py` with create_app. */
async function packageTargetStart(app: App, installed: Installed): Promise<Start | undefined> {
  const target = await findPackageTarget(app, installed)
  return target && serve(target, installed)
}

/**
 * The server that has to be installed beside the application's packages, since what it consists of is served by one and none is
 * there; undefined if there is no need for one, or if somebody says how to start.
 */
export async function missingServer(app: App, env: Env, installed: Installed): Promise<Server | undefined> {
  if ((await declaredStart(app, env)) !== undefined) return undefined
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named === undefined && installed.has('django') && (await app.has('manage.py')))
    return djangoServer(app, installed)
  const scripts = await readScripts(app)
  if (named === undefined && scripts?.named !== undefined && isInstalled(scripts, installed)) return undefined
  if ((await functionStart(app, env, installed)) ?? (await frameworkStart(app, installed))) return undefined
  const target = named ? await namedTarget(app, named.value, installed) : await findTarget(app, installed)
  if (target !== undefined) return serverFor(target, installed)
  const isStarted = scripts?.only !== undefined && isInstalled(scripts, installed)
  if (named || isStarted || (await app.firstOf(startFiles)) !== undefined || (await packageStart(app))) return undefined
  const inPackage = await findPackageTarget(app, installed)
  return inPackage && serverFor(inPackage, installed)
}

/**
 * Looks for whatever could start, before anything is installed.
 * @throws BuildpackError if nothing could, whatever is installed
 */
export async function checkStart(app: App, env: Env): Promise<void> {
  if ((await declaredStart(app, env)) !== undefined) return
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named) {
    if (named.value.endsWith('.py')) await checkFile(app, named)
    return
  }
  if ((await app.firstOf([...(await candidateFiles(app)), ...celeryFiles, 'manage.py'])) !== undefined) return
  const scripts = await readScripts(app)
  if (scripts?.named !== undefined || scripts?.only !== undefined || (await packageStart(app)) !== undefined) return
  if (firstSetting(env, 'GOOGLE_FUNCTION_TARGET')) return
  if ((await packageModules(app)).length > 0 || (await notebooks(app)).length > 0) return
  throw noStart(new Set())
}

/** Programs that the project itself brings, once it is installed. */
interface Scripts {
  readonly file: string
  /** The project's name; undefined if setup.py computes it. */
  readonly project: string | undefined
  /** The one with a name of a server's. */
  readonly named: string | undefined
  /** The only one, or that with the project's name. */
  readonly only: string | undefined
}

/** The scripts of pyproject.toml, setup.cfg or setup.py (packaging.python.org, "Entry points specification"). */
async function readScripts(app: App): Promise<Scripts | undefined> {
  const document = parseToml((await app.read('pyproject.toml')) ?? '', 'pyproject.toml')
  const project = tableOf(document['project'])
  const poetry = tableOf(tableOf(document['tool'])['poetry'])
  const name = project['name'] ?? poetry['name']
  const declared = Object.keys({ ...tableOf(poetry['scripts']), ...tableOf(project['scripts']) })
  if (typeof name === 'string' && declared.length > 0) return chooseScript('pyproject.toml', name, declared)
  for (const file of ['setup.cfg', 'setup.py']) {
    const source = (await app.read(file)) ?? ''
    const list = /\bconsole_scripts\b['"]?\s*[:=]([^\]]*?)(?:\]|\n\s*\n|\n\[|$(?![\s\S]))/.exec(source)?.[1] ?? ''
    const names = Array.from(list.matchAll(/([\w.-]+)\s*=\s*[\w.]+:/g), ([, script = '']) => script)
    const own = /^\s*name\s*=\s*["']?([\w.-]+)/m.exec(source)?.[1]
    if (names.length > 0) return chooseScript(file, own, names)
  }
  return undefined
}

function chooseScript(file: string, project: string | undefined, names: readonly string[]): Scripts {
  const named = ['web', 'start', 'serve'].find(script => names.includes(script))
  const own = names.find(script => script === project)
  return { file, project, named, only: own ?? (names.length === 1 ? names[0] : undefined) }
}

function isInstalled({ project }: Scripts, installed: Installed): boolean {
  return project === undefined || installed.has(project.toLowerCase().replaceAll(/[-_.]+/g, '-'))
}

function scriptStart(script: string, file: string): Start {
  return { command: shellQuote(script), why: `scripts of ${file} name it` }
}

/** `python -m service` for the only package with a `__main__.py`, also below src/. */
async function packageStart(app: App): Promise<Start | undefined> {
  const found: { root: string; name: string }[] = []
  for (const root of ['', 'src']) {
    for (const entry of await readdir(app.at(root), { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory() || !/^[A-Za-z_]\w*$/.test(entry.name)) continue
      if (await app.has(join(root, entry.name, '__main__.py'))) found.push({ root, name: entry.name })
    }
  }
  const [only] = found
  if (only === undefined || found.length > 1) return undefined
  const path = only.root === '' ? '' : `PYTHONPATH=${only.root} `
  return { command: `${path}python -m ${only.name}`, why: `${join(only.root, only.name)} has a __main__.py` }
}

function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** `BP_PYTHON_ENTRYPOINT`: a file, or an object as in `package.module:app`. */
async function fromSetting(
  app: App,
  { name, value }: { name: string; value: string },
  installed: Installed,
): Promise<Start> {
  const target = await namedTarget(app, value, installed)
  if (!value.endsWith('.py')) {
    const start = target && serve(target, installed)
    if (start) return { ...start, why: name }
    throw new BuildpackError(
      `${JSON.stringify(value)} is neither a file nor an object that an installed server can call`,
      {
        where: name,
        fix: 'write for example "service/web.py" or "service.web:app"',
      },
    )
  }
  await checkFile(app, { name, value })
  const start = (target && serve(target, installed)) ?? { command: `python ${shellQuote(value)}`, why: name }
  return { ...start, why: name }
}

/** The object that `BP_PYTHON_ENTRYPOINT` names, or that is in the file of that name. */
async function namedTarget(app: App, value: string, installed: Installed): Promise<Target | undefined> {
  if (value.endsWith('.py')) return readTarget(app, value, installed)
  if (!/^[\w.]+:[\w.]+$/.test(value)) return undefined
  const async = protocolOf('', installed) === 'asgi'
  return { file: value, root: '', name: value, factory: false, async, runsItself: false }
}

async function checkFile(app: App, { name, value }: { name: string; value: string }): Promise<void> {
  if (await app.has(value)) return
  throw new BuildpackError(`there is no file ${value}`, { where: name, fix: 'correct the name' })
}

export function noStart(installed: Installed): BuildpackError {
  const tried = [...startFiles, ...packageFiles]
  const wanted = installed.has('flask') ? 'a Flask application, app = Flask(__name__),' : 'a program or an application'
  return new BuildpackError(
    `nothing says how to start the application: none of these is there with ${wanted} in it:\n${tried.join(', ')}, or one file alone`,
    {
      fix: [
        'Name the start in one of three ways:',
        '- a Procfile with a line "web: COMMAND", such as "web: flask --app service.web run --host 0.0.0.0 --port $PORT"',
        '- one of the file names above, such as app.py',
        '- BP_PYTHON_ENTRYPOINT, a file or an object such as service.web:app, or GOOGLE_ENTRYPOINT, a command',
      ].join('\n'),
    },
  )
}
