import { type App, BuildpackError, firstSetting, shellQuote } from '../sdk/index.ts'
import type { Installed } from './venv.ts'

type Env = Readonly<Record<string, string>>

/** What starts the application, and why this. */
export interface Start {
  readonly command: string
  readonly why: string
}

const names = ['main.py', 'app.py', 'wsgi.py', 'asgi.py', 'server.py']
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
  const target = await findTarget(app, installed)
  const served = target && serve(target, installed)
  if (served) return served
  const file = await app.firstOf(startFiles)
  if (file === undefined) return undefined
  // A module that makes a Flask application and does not run it would only end.
  if (installed.has('flask') && !runsItself((await app.read(file)) ?? '')) return undefined
  return { command: `python ${shellQuote(file)}`, why: `${file} is there` }
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
    const target = { file: value, root: '', name: value, factory: false, async: isAsync('', installed) }
    const start = /^[\w.]+:\w+$/.test(value) ? serve(target, installed) : undefined
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
  const assigned = /^(app|application)(?:\s*:[^=\n]+)?\s*=(?!=)(.*)$/m.exec(source)
  const imported = /^from\s+\S+\s+import\s+(?:.*[\s,(])?(app|application)\b/m.exec(source)
  const made = /^(?:async\s+)?def\s+(create_app|make_app)\s*\(/m.exec(source)
  const object = (assigned ?? imported ?? made)?.[1]
  if (object === undefined) return undefined
  const factory = assigned === null && imported === null
  return { file, root, name: `${module}:${object}`, factory, async: isAsync(assigned?.[2] ?? source, installed) }
}

/** Whether an object speaks ASGI, by what makes it, or by which frameworks there are. */
function isAsync(source: string, installed: Installed): boolean {
  if (/\b(FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep|get_asgi_application)\(/.test(source)) return true
  if (/\b(Flask|Bottle|get_wsgi_application|falcon\.App)\(/.test(source)) return false
  const some = (...frameworks: string[]) => frameworks.some(name => installed.has(name))
  return some('fastapi', 'starlette', 'quart', 'litestar') && !some('flask', 'django', 'bottle')
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
    if (!installed.has('uvicorn')) return undefined
    const options = [
      `--host ${host} --port ${port}`,
      ...(root ? [`--app-dir ${root}`] : []),
      ...(factory ? ['--factory'] : []),
    ]
    return { command: `uvicorn ${options.join(' ')} ${target.name}`, why: `uvicorn is installed, ${why}` }
  }
  if (installed.has('gunicorn')) return gunicorn(target.name)
  if (installed.has('flask')) {
    const module = root ? `${root}/${target.name}` : target.name
    return {
      command: `flask --app ${shellQuote(module)} run --host ${host} --port ${port}`,
      why: `flask is installed, ${why}`,
    }
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
