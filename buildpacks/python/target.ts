import { posix } from 'node:path'
import type { App } from '../sdk/index.ts'
import { asgi, findObject, type FoundObject, wsgi } from '../sdk/python-objects.ts'
import { candidateFiles, packageModules } from '../sdk/python-starts.ts'
import type { Installed } from './installed.ts'

/** An object that a server calls, such as the variable `app` in `src/main.py`. */
export interface Target {
  readonly file: string
  /** The directory that its module is imported from: none, or `src`. */
  readonly root: string
  /** `main:app`, or `main:create_app` for a factory. */
  readonly name: string
  readonly factory: boolean
  readonly async: boolean
  /** Run as a program, the file starts the server that has to serve the object; or it starts a server even when it is imported. */
  readonly runsItself: boolean
  /** It is known not to be a Flask application, which is the only kind that Flask's own server serves. */
  readonly isOther?: boolean
}

export async function findTarget(app: App, installed: Installed): Promise<Target | undefined> {
  for (const file of await candidateFiles(app)) {
    const target = await readTarget(app, file, installed)
    if (target) return target
  }
  return undefined
}

/** The object of one of the application's own packages. It does not matter what the module does as a program, since it is imported. */
export async function findPackageTarget(app: App, installed: Installed): Promise<Target | undefined> {
  for (const file of await packageModules(app)) {
    const target = await readTarget(app, file, installed)
    if (target) return { ...target, runsItself: false }
  }
  return undefined
}

/** Looks for the object in a file, without running it. */
export async function readTarget(app: App, file: string, installed: Installed): Promise<Target | undefined> {
  const source = await app.read(file)
  if (source === undefined) return undefined
  const root = file.startsWith('src/') ? 'src' : ''
  const path = root === '' ? file : file.slice(root.length + 1)
  const module = path.replace(/(\/__init__)?\.py$/, '').replaceAll('/', '.')
  const found = findObject(source)
  if (found === undefined) return undefined
  // An imported object, or one from a factory, does not show its protocol here: the installed server does.
  const byServer = installed.has('gunicorn') ? 'wsgi' : installed.has('uvicorn') ? 'asgi' : undefined
  const origin = await importedFrom(app, file, root, found)
  const { made } = origin ?? found
  const maker =
    made === undefined || origin !== undefined ? undefined : await makerSource(app, file, root, made, source)
  const protocol =
    made === undefined
      ? (protocolOf(source, installed) ?? byServer)
      : protocolOfMaker(made, maker ?? origin?.source ?? source, installed)
  if (protocol === undefined) return undefined
  return {
    file,
    root,
    name: `${module}:${found.object}`,
    factory: found.factory,
    async: protocol === 'asgi',
    runsItself: servesItself(source),
    isOther: made !== undefined && /\bwsgi\(|\bBottle\(|\bfalcon\.App\(|\bget_wsgi_application\(/.test(made),
  }
}

/**
 * The expression that creates an imported object, if its module belongs to the application: `from .web import app` in
 * `shop/__init__.py`.
 */
async function importedFrom(
  app: App,
  file: string,
  root: string,
  { from, object }: FoundObject,
): Promise<{ readonly made: string; readonly source: string } | undefined> {
  const source = from === undefined ? undefined : await moduleSource(app, file, root, from)
  const found = source === undefined ? undefined : findObject(source)
  return source === undefined || found?.made === undefined || found.object !== object
    ? undefined
    : { made: found.made, source }
}

/** The source of one of the application's own modules: `.web`, `shop.web`. */
async function moduleSource(app: App, file: string, root: string, from: string): Promise<string | undefined> {
  const [, dots = '', name = ''] = /^(\.*)([\w.]*)$/.exec(from) ?? []
  if (dots.length > 1) return undefined
  const base = posix.join(dots === '' ? root : posix.dirname(file), name.replaceAll('.', '/'))
  const path = await app.firstOf([`${base}.py`, `${base}/__init__.py`].filter(candidate => candidate !== file))
  return path === undefined ? undefined : app.read(path)
}

/** The source of the function that creates an object, if it belongs to the application: `from factory import create_app`. */
async function makerSource(app: App, file: string, root: string, made: string, source: string) {
  const maker = /^\s*(\w+)\(/.exec(made)?.[1]
  const from = maker && new RegExp(`^from\\s+(\\S+)\\s+import\\s+(?:.*[\\s,(])?${maker}\\b`, 'm').exec(source)?.[1]
  return from ? moduleSource(app, file, root, from) : undefined
}

/** Whether a module, run as a program, does more than defining things. */
export function runsItself(source: string): boolean {
  return /__name__\s*==|\.run\(|^run\(|\bserve\(|\bserve_forever\(/m.test(source)
}

/** Whether a source reads the variable with the port. */
export function readsPort(source: string): boolean {
  return /['"]PORT['"]/.test(source)
}

/** Whether the module's own server has to serve: it listens on $PORT, or it starts even when the module is imported. */
function servesItself(source: string): boolean {
  return runsItself(source) && (readsPort(source) || !/__name__\s*==/.test(source))
}

/**
 * The protocols of all files that may hold the object, as far as their sources show them. This is the text for a layer's key that
 * decides which server is needed.
 */
export async function protocolsOf(app: App): Promise<string> {
  const found: string[] = []
  for (const file of [...(await candidateFiles(app)), ...(await packageModules(app))]) {
    const source = await app.read(file)
    const object = source === undefined ? undefined : findObject(source)
    if (source === undefined || object === undefined) continue
    const none: Installed = new Set()
    const protocol = object.made === undefined ? protocolOf(source, none) : protocolOfMaker(object.made, source, none)
    found.push(`${file} ${protocol ?? 'unknown'}${servesItself(source) ? ' runs itself' : ''}`)
  }
  return found.join(', ')
}

type Protocol = 'asgi' | 'wsgi'

/**
 * The protocol of an object, by the call that creates it. For an unknown call the object goes to a server only if it may well be of an
 * installed framework.
 */
function protocolOfMaker(made: string, source: string, installed: Installed): Protocol | undefined {
  if (new RegExp(`\\b${asgi.source}\\b`).test(made) || /falcon\.asgi\.App\(/.test(made)) return 'asgi'
  if (new RegExp(`\\b${wsgi.source}\\b|falcon\\.App\\(|\\bwsgi\\(|tornado\\.wsgi`).test(made)) return 'wsgi'
  // Classes of other kinds of programs: a terminal application, a worker, a bot. Some frameworks also have a class with such a name.
  if (/\bApplication\(/.test(made) && installed.has('blacksheep')) return 'asgi'
  if (/\b(Celery|Typer|App|Application|Client|Bot|Tk|QApplication|Blocks|Interface|Updater)\b/.test(made))
    return undefined
  return protocolOf(source, installed)
}

/** The protocol of the installed frameworks; undefined if none is installed. */
export function protocolOf(source: string, installed: Installed): Protocol | undefined {
  if (new RegExp(`\\b${asgi.source}\\(`).test(source)) return 'asgi'
  if (new RegExp(`\\b${wsgi.source}\\(`).test(source)) return 'wsgi'
  const some = (...frameworks: string[]) => frameworks.some(name => installed.has(name))
  // Quart installs Flask, for the parts that they share.
  if (some('quart')) return 'asgi'
  if (some('flask', 'django', 'bottle', 'falcon', 'pyramid', 'dash', 'apiflask')) return 'wsgi'
  return some('fastapi', 'starlette', 'litestar', 'blacksheep', 'sanic') ? 'asgi' : undefined
}
