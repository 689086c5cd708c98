import { join } from 'node:path'
import { type App, BuildpackError, declaredStart, firstSetting, shellQuote } from '../sdk/index.ts'
import {
  mainPackage,
  mayStart,
  notebooks,
  onlyFile,
  packageFiles,
  readScripts,
  type Scripts,
  startFiles,
} from '../sdk/python-starts.ts'
import type { Installed, Start } from './installed.ts'
import { djangoServer, djangoStart, serve, type Server, serverFor } from './serve.ts'
import { frameworkStart, functionStart } from './framework-servers.ts'
import { commandOfFile } from './subcommand.ts'
import { findPackageTarget, findTarget, protocolOf, readTarget, runsItself, type Target } from './target.ts'
import { hasTasks } from './workers.ts'

type Env = Readonly<Record<string, string>>

/** The start of the application; undefined if nothing is recognised. */
export async function findStart(app: App, env: Env, installed: Installed): Promise<Start | undefined> {
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  if (command) return { command: command.value, why: command.name }
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named) return fromSetting(app, named, installed)
  const served = await functionStart(app, env, installed)
  if (served) return served
  if (installed.has('django') && (await app.has('manage.py'))) return djangoStart(app, env, installed)
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
  // A module that creates an application without running it would only end.
  if ((installed.has('flask') || hasTasks(source, installed)) && !runsItself(source)) return undefined
  return { command: `python ${shellQuote(file)}`, why: `${file} is there`, subcommand: commandOfFile(file, source) }
}

/** The object of one of the application's own packages, if there is no other start: `shop/__init__.py` with create_app. */
async function packageTargetStart(app: App, installed: Installed): Promise<Start | undefined> {
  const target = await findPackageTarget(app, installed)
  return target && serve(target, installed)
}

/**
 * The server that has to be installed beside the application's packages, since the application needs one and has none. undefined if it
 * does not need one, or if the user declares the start.
 */
export async function missingServer(app: App, env: Env, installed: Installed): Promise<Server | undefined> {
  if ((await declaredStart(app, env)) !== undefined) return undefined
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named === undefined && installed.has('django') && (await app.has('manage.py')))
    return djangoServer(app, env, installed)
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
 * Checks before anything is installed that something could start.
 * @throws BuildpackError if nothing could, whichever packages are installed
 */
export async function checkStart(app: App, env: Env): Promise<void> {
  if ((await declaredStart(app, env)) !== undefined) return
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named) {
    if (named.value.endsWith('.py')) await checkFile(app, named)
    return
  }
  if (await app.has('rxconfig.py')) throw reflexStart()
  if ((await mayStart(app, env)) || (await notebooks(app)).length > 0) return
  throw noStart(new Set())
}

function isInstalled({ project }: Scripts, installed: Installed): boolean {
  return project === undefined || installed.has(project.toLowerCase().replaceAll(/[-_.]+/g, '-'))
}

function scriptStart(script: string, file: string): Start {
  return { command: shellQuote(script), why: `scripts of ${file} name it` }
}

/** `python -m service` */
async function packageStart(app: App): Promise<Start | undefined> {
  const found = await mainPackage(app)
  if (found === undefined) return undefined
  const path = found.root === '' ? '' : `PYTHONPATH=${found.root} `
  return { command: `${path}python -m ${found.name}`, why: `${join(found.root, found.name)} has a __main__.py` }
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
    throw new BuildpackError(`${JSON.stringify(value)} is not a file or an object that an installed server can call`, {
      where: name,
      fix: 'write for example "service/web.py" or "service.web:app"',
    })
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

/** Reflex builds its front end at the start, with Bun and npm packages, and stores it beside the sources. */
function reflexStart(): BuildpackError {
  return new BuildpackError(
    'Reflex compiles its front end when it starts, with programs that the image does not have',
    {
      where: 'rxconfig.py',
      fix: [
        'Start the back end alone with a Procfile, and serve the pages that "reflex export --frontend-only" makes as static files:',
        'web: reflex run --env prod --backend-only --backend-host 0.0.0.0 --backend-port $PORT',
      ].join('\n'),
    },
  )
}

export function noStart(installed: Installed): BuildpackError {
  const tried = [...startFiles, ...packageFiles]
  const wanted = installed.has('flask') ? 'a Flask application, app = Flask(__name__),' : 'a program or an application'
  return new BuildpackError(
    `no start command found: none of these is there with ${wanted} in it:\n${tried.join(', ')}, or a file of any other name where it is the only one, or the only one that is served and that no other imports`,
    {
      fix: [
        'Give the start command in one of three ways:',
        '- a Procfile with a line "web: COMMAND", such as "web: flask --app service.web run --host 0.0.0.0 --port $PORT"',
        '- one of the file names above, such as app.py',
        '- BP_PYTHON_ENTRYPOINT, a file or an object such as service.web:app, or GOOGLE_ENTRYPOINT, a command',
      ].join('\n'),
    },
  )
}
