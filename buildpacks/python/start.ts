import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError, firstSetting, shellQuote } from '../sdk/index.ts'
import type { Installed } from './venv.ts'

type Env = Readonly<Record<string, string>>

/** What starts the application, and why this. */
export interface Start {
  readonly command: string
  readonly why: string
}

const names = [
  'main.py',
  'app.py',
  'wsgi.py',
  'asgi.py',
  'server.py',
  'application.py',
  'run.py',
  'streamlit_app.py',
  'bot.py',
  'worker.py',
]
/** Where an application may begin, in the order in which they are tried. */
export const startFiles: readonly string[] = [...names, ...names.map(name => `src/${name}`)]
/** In packages there is the object that a server calls, but nothing to run. */
const packageFiles = ['app/main.py', 'app/__init__.py', 'src/app/main.py', 'src/app/__init__.py']

const host = '0.0.0.0'
const port = '${PORT:-8080}'

/** An object that a server calls: in `src/main.py` the variable `app`. */
interface Target {
  readonly file: string
  /** Where its module is imported from: nothing, or `src`. */
  readonly root: string
  /** `main:app`, or for a factory `main:create_app`. */
  readonly name: string
  readonly factory: boolean
  readonly async: boolean
}

/** What starts the application; undefined if nothing is recognised. */
export async function findStart(app: App, env: Env, installed: Installed): Promise<Start | undefined> {
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  if (command) return { command: command.value, why: command.name }
  const named = firstSetting(env, 'BP_PYTHON_ENTRYPOINT')
  if (named) return fromSetting(app, named, installed)
  if (installed.has('django') && (await app.has('manage.py'))) return djangoStart(app, installed)
  const script = await projectScript(app, installed)
  const target = await findTarget(app, installed)
  const served = target && serve(target, installed)
  if (served) return served
  const framework = await frameworkStart(app, installed)
  if (framework) return framework
  if (script) return script
  const file = await app.firstOf(startFiles)
  if (file === undefined) return packageStart(app)
  // A module that makes a Flask application and does not run it would only end.
  if (installed.has('flask') && !runsItself((await app.read(file)) ?? '')) return undefined
  return { command: `python ${shellQuote(file)}`, why: `${file} is there` }
}

/** The only script that pyproject.toml declares, or the one with the project's name, if the project itself is installed. */
async function projectScript(app: App, installed: Installed): Promise<Start | undefined> {
  const document = parseToml((await app.read('pyproject.toml')) ?? '', 'pyproject.toml')
  const project = tableOf(document['project'])
  const poetry = tableOf(tableOf(document['tool'])['poetry'])
  const name = project['name'] ?? poetry['name']
  if (typeof name !== 'string' || !installed.has(name.toLowerCase().replaceAll(/[-_.]+/g, '-'))) return undefined
  const scripts = Object.keys({ ...tableOf(poetry['scripts']), ...tableOf(project['scripts']) })
  const chosen = ['web', 'start', 'serve', name].find(script => scripts.includes(script))
  const script = chosen ?? (scripts.length === 1 ? scripts[0] : undefined)
  return script === undefined ? undefined : { command: shellQuote(script), why: 'scripts of pyproject.toml name it' }
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

/** Streamlit and Gradio bring servers of their own, which their files do not name. */
async function frameworkStart(app: App, installed: Installed): Promise<Start | undefined> {
  for (const file of ['streamlit_app.py', ...startFiles]) {
    const source = (await app.read(file)) ?? ''
    if (installed.has('streamlit') && /^\s*(?:import|from)\s+streamlit\b/m.test(source)) {
      const options = `--server.address ${host} --server.port ${port} --server.headless true`
      return { command: `streamlit run ${shellQuote(file)} ${options}`, why: `${file} is for Streamlit` }
    }
    if (installed.has('gradio') && /^\s*(?:import|from)\s+gradio\b/m.test(source)) {
      const variables = `GRADIO_SERVER_NAME=${host} GRADIO_SERVER_PORT=${port}`
      return { command: `${variables} python ${shellQuote(file)}`, why: `${file} is for Gradio` }
    }
  }
  return undefined
}

function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function runsItself(source: string): boolean {
  return /__name__\s*==|\.run\(|\bserve\(/.test(source)
}

/** `BP_PYTHON_ENTRYPOINT`: a file, or an object as in `package.module:app`. */
async function fromSetting(
  app: App,
  { name, value }: { name: string; value: string },
  installed: Installed,
): Promise<Start> {
  if (!value.endsWith('.py')) {
    const target = { file: value, root: '', name: value, factory: false, async: protocolOf('', installed) === 'asgi' }
    const start = /^[\w.]+:[\w.]+$/.test(value) ? serve(target, installed) : undefined
    if (start) return { ...start, why: name }
    throw new BuildpackError(
      `${JSON.stringify(value)} is neither a file nor an object that an installed server can call`,
      {
        where: name,
        fix: 'write for example "service/web.py" or "service.web:app"',
      },
    )
  }
  if (!(await app.has(value)))
    throw new BuildpackError(`there is no file ${value}`, { where: name, fix: 'correct the name' })
  const target = await readTarget(app, value, installed)
  const start = (target && serve(target, installed)) ?? { command: `python ${shellQuote(value)}`, why: name }
  return { ...start, why: name }
}

async function findTarget(app: App, installed: Installed): Promise<Target | undefined> {
  for (const file of [...startFiles, ...packageFiles]) {
    const target = await readTarget(app, file, installed)
    if (target) return target
  }
  return undefined
}

/** Looks in a file for the object, without running it. */
async function readTarget(app: App, file: string, installed: Installed): Promise<Target | undefined> {
  const source = await app.read(file)
  if (source === undefined) return undefined
  const root = file.startsWith('src/') ? 'src' : ''
  const path = root === '' ? file : file.slice(root.length + 1)
  const module = path.replace(/(\/__init__)?\.py$/, '').replaceAll('/', '.')
  const found = findObject(source)
  if (found === undefined) return undefined
  // What is imported, or made by a factory, cannot be seen here: the server that is installed tells.
  const byServer = installed.has('gunicorn') ? 'wsgi' : installed.has('uvicorn') ? 'asgi' : undefined
  const protocol =
    found.made === undefined
      ? (protocolOf(source, installed) ?? byServer)
      : protocolOfMaker(found.made, source, installed)
  if (protocol === undefined) return undefined
  return { file, root, name: `${module}:${found.object}`, factory: found.factory, async: protocol === 'asgi' }
}

interface FoundObject {
  readonly object: string
  readonly factory: boolean
  /** What makes it, where that is seen: `Flask(__name__)`. */
  readonly made?: string
}

/** The object in a module that a server calls. */
function findObject(source: string): FoundObject | undefined {
  // Dash's application is no WSGI application; its Flask server is.
  const server = /^(server)(?:\s*:[^=\n]+)?\s*=\s*\w+\.server\b/m.exec(source)
  if (server) return { object: 'server', factory: false, made: 'Flask()' }
  const dash = /^(\w+)(?:\s*:[^=\n]+)?\s*=\s*(?:dash\.)?Dash\(/m.exec(source)?.[1]
  if (dash !== undefined) return { object: `${dash}.server`, factory: false, made: 'Flask()' }
  const named = /^(app|application|api)(?:\s*:[^=\n]+)?\s*=(?!=)(.*)$/m.exec(source)
  if (named?.[1] !== undefined && named[1] !== 'api') {
    return { object: named[1], factory: false, made: (named[0].match(/:\s*\w+(?=\s*=)/)?.[0] ?? '') + (named[2] ?? '') }
  }
  const imported = /^from\s+\S+\s+import\s+(?:.*[\s,(])?(app|application)\b/m.exec(source)
  if (imported?.[1] !== undefined) return { object: imported[1], factory: false }
  const factory = /^(?:async\s+)?def\s+(create_app|make_app)\s*\(/m.exec(source)
  if (factory?.[1] !== undefined) return { object: factory[1], factory: true }
  // A WSGI application may be a plain function (PEP 3333).
  const plain = /^def\s+(app|application|simple_app)\s*\(\s*\w+\s*(?::[^,]+)?,\s*start_response\b/m.exec(source)
  if (plain?.[1] !== undefined) return { object: plain[1], factory: false, made: 'wsgi()' }
  const other = new RegExp(
    `^(\\w+)(?:\\s*:[^=\\n]+)?\\s*=\\s*(?:\\w+\\.)?((?:${asgi.source}|${wsgi.source})\\(.*)$`,
    'm',
  ).exec(source)
  return other?.[1] === undefined ? undefined : { object: other[1], factory: false, made: other[2] ?? '' }
}

const asgi = /(?:FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep|get_asgi_application)/
const wsgi = /(?:Flask|Bottle|get_wsgi_application|APIFlask|OpenAPI)/

type Protocol = 'asgi' | 'wsgi'

/**
 * What an object speaks, by the call that makes it. An object of unknown making is handed to a server only if it may well be of
 * a framework that is installed.
 */
function protocolOfMaker(made: string, source: string, installed: Installed): Protocol | undefined {
  if (new RegExp(`\\b${asgi.source}\\b`).test(made) || /falcon\.asgi\.App\(/.test(made)) return 'asgi'
  if (new RegExp(`\\b${wsgi.source}\\b|falcon\\.App\\(|\\bwsgi\\(|tornado\\.wsgi`).test(made)) return 'wsgi'
  // Classes of other kinds of programs: a terminal application, a worker, a bot.
  if (/\b(Celery|Typer|App|Application|Client|Bot|Tk|QApplication|Blocks|Interface|Updater)\b/.test(made))
    return undefined
  return protocolOf(source, installed)
}

/** What the frameworks that are installed speak; undefined if none of them is. */
function protocolOf(source: string, installed: Installed): Protocol | undefined {
  if (new RegExp(`\\b${asgi.source}\\(`).test(source)) return 'asgi'
  if (new RegExp(`\\b${wsgi.source}\\(`).test(source)) return 'wsgi'
  const some = (...frameworks: string[]) => frameworks.some(name => installed.has(name))
  if (some('flask', 'django', 'bottle', 'falcon', 'pyramid', 'dash', 'apiflask')) return 'wsgi'
  return some('fastapi', 'starlette', 'quart', 'litestar') ? 'asgi' : undefined
}

/** The command of the server that is installed for the object; undefined if none is. */
function serve(target: Target, installed: Installed): Start | undefined {
  const why = `${target.file} has ${target.name.replace(/.*:/, '')}`
  const { root, factory } = target
  const gunicorn = (name: string, ...options: string[]) => {
    const all = [`--bind ${host}:${port}`, ...options, ...(root ? [`--pythonpath ${root}`] : [])]
    return {
      command: `gunicorn ${all.join(' ')} ${shellQuote(factory ? `${name}()` : name)}`,
      why: `gunicorn is installed, ${why}`,
    }
  }
  if (target.async) {
    if (!installed.has('uvicorn')) return asgiServer(target, installed, why)
    const options = [
      `--host ${host} --port ${port}`,
      ...(root ? [`--app-dir ${root}`] : []),
      ...(factory ? ['--factory'] : []),
    ]
    return { command: `uvicorn ${options.join(' ')} ${target.name}`, why: `uvicorn is installed, ${why}` }
  }
  if (installed.has('gunicorn')) return gunicorn(target.name)
  if (installed.has('flask')) {
    const module = shellQuote(root ? `${root}/${target.name}` : target.name)
    // Flask before 2.2 has no --app.
    const command = `FLASK_APP=${module} flask run --host ${host} --port ${port}`
    return { command, why: `flask is installed, ${why}` }
  }
  return undefined
}

/** Servers for ASGI that are installed where uvicorn is not. */
function asgiServer({ root, name, factory }: Target, installed: Installed, why: string): Start | undefined {
  const path = root === '' ? '' : `PYTHONPATH=${root} `
  const object = shellQuote(factory ? `${name}()` : name)
  if (installed.has('hypercorn')) {
    return { command: `${path}hypercorn --bind ${host}:${port} ${object}`, why: `hypercorn is installed, ${why}` }
  }
  if (installed.has('daphne') && !factory) {
    return { command: `${path}daphne --bind ${host} --port ${port} ${object}`, why: `daphne is installed, ${why}` }
  }
  return undefined
}

/** Django: manage.py names the settings, and beside them are wsgi.py and asgi.py. */
async function djangoStart(app: App, installed: Installed): Promise<Start> {
  const settings = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]/.exec((await app.read('manage.py')) ?? '')?.[1]
  const project = settings?.replace(/\.settings(\..*)?$/, '')
  const has = async (name: string) =>
    project !== undefined && (await app.has(`${project.replaceAll('.', '/')}/${name}.py`))
  if (installed.has('gunicorn') && (await has('wsgi'))) {
    return {
      command: `gunicorn --bind ${host}:${port} ${project}.wsgi`,
      why: 'gunicorn is installed, manage.py names the settings',
    }
  }
  if (installed.has('uvicorn') && (await has('asgi'))) {
    const command = `uvicorn --host ${host} --port ${port} ${project}.asgi:application`
    return { command, why: 'uvicorn is installed, manage.py names the settings' }
  }
  return { command: `python manage.py runserver --noreload ${host}:${port}`, why: 'manage.py is there' }
}

/** Celery's worker, a second process, where a module makes its application; undefined if none does. */
export async function findWorker(app: App, installed: Installed): Promise<string | undefined> {
  if (!installed.has('celery')) return undefined
  const settings = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)\.settings/.exec(
    (await app.read('manage.py')) ?? '',
  )?.[1]
  const files = [
    ...(settings === undefined ? [] : [`${settings.replaceAll('.', '/')}/celery.py`]),
    'celery_app.py',
    'tasks.py',
  ]
  for (const file of [...files, ...startFiles.filter(name => !name.includes('/'))]) {
    const object = /^(\w+)\s*=\s*(?:celery\.)?Celery\(/m.exec((await app.read(file)) ?? '')?.[1]
    if (object !== undefined) return `celery --app ${file.replace(/\.py$/, '').replaceAll('/', '.')}:${object} worker`
  }
  return undefined
}

export function noStart(installed: Installed): BuildpackError {
  const tried = [...startFiles, ...packageFiles]
  const wanted = installed.has('flask') ? 'a Flask application, app = Flask(__name__),' : 'a program or an application'
  return new BuildpackError(
    `nothing says how to start the application: none of these is there with ${wanted} in it:\n${tried.join(', ')}`,
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
