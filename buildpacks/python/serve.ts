import { type App, BuildpackError, firstSetting, shellQuote } from '../sdk/index.ts'
import type { Start, Installed } from './installed.ts'
import type { Target } from './target.ts'

type Env = Readonly<Record<string, string>>

export const host = '0.0.0.0'
export const port = '${PORT:-8080}'

/** Servers that the buildpack installs if an application needs one and installs none, with their versions. */
export const serverVersions = { gunicorn: '27.0.1', uvicorn: '0.54.0' } as const
export type Server = keyof typeof serverVersions

/** The command of an installed server that can serve the object; undefined if there is none. */
export function serve(target: Target, installed: Installed): Start | undefined {
  const why = `${target.file} has ${target.name.replace(/.*:/, '')}`
  const servers = target.async ? asgiServers : wsgiServers
  const server = servers.find(({ name }) => installed.has(name))
  const command = server?.command(target)
  return server && command !== undefined ? { command, why: `${server.name} is installed, ${why}` } : undefined
}

interface InstalledServer {
  readonly name: string
  /** undefined if it cannot serve this object. */
  command(target: Target): string | undefined
}

const objectOf = ({ name, factory }: Target) => shellQuote(factory ? `${name}()` : name)
const pathOf = ({ root }: Target) => (root === '' ? '' : `PYTHONPATH=${root} `)
/** Without a limit, on SIGTERM granian waits as long as a client keeps its connection open. Old versions do not have the option. */
const granianLimit = 'GRANIAN_WORKERS_KILL_TIMEOUT=${GRANIAN_WORKERS_KILL_TIMEOUT:-10}'
const granian = (kind: 'asgi' | 'wsgi') => (target: Target) =>
  `${pathOf(target)}${granianLimit} granian --interface ${kind} --host ${host} --port ${port} ${target.factory ? '--factory ' : ''}${target.name}`

/** The first installed one serves. */
const asgiServers: readonly InstalledServer[] = [
  {
    name: 'uvicorn',
    command: ({ root, factory, name }) =>
      [
        `uvicorn --host ${host} --port ${port}`,
        ...(root ? [`--app-dir ${root}`] : []),
        ...(factory ? ['--factory'] : []),
        name,
      ].join(' '),
  },
  { name: 'hypercorn', command: target => `${pathOf(target)}hypercorn --bind ${host}:${port} ${objectOf(target)}` },
  {
    name: 'daphne',
    command: target =>
      target.factory ? undefined : `${pathOf(target)}daphne --bind ${host} --port ${port} ${objectOf(target)}`,
  },
  { name: 'granian', command: granian('asgi') },
  // Sanic has its own.
  {
    name: 'sanic',
    command: target =>
      `${pathOf(target)}sanic --host ${host} --port ${port} ${target.factory ? '--factory ' : ''}${target.name}`,
  },
]

const wsgiServers: readonly InstalledServer[] = [
  {
    name: 'gunicorn',
    command: target => {
      const path = target.root ? ` --pythonpath ${target.root}` : ''
      return `gunicorn --bind ${host}:${port}${path} ${objectOf(target)}`
    },
  },
  {
    name: 'waitress',
    command: target =>
      `${pathOf(target)}waitress-serve --listen=*:${port} ${target.factory ? '--call ' : ''}${target.name}`,
  },
  { name: 'granian', command: granian('wsgi') },
  {
    name: 'flask',
    // Flask before 2.2 has no --app.
    command: ({ root, name, isOther }) => {
      if (isOther === true) return undefined
      const module = shellQuote(root ? `${root}/${name}` : name)
      return `FLASK_APP=${module} flask run --host ${host} --port ${port}`
    },
  },
]

/** The server that an object needs and the application does not install; undefined if it has one, or starts one itself. */
export function serverFor(target: Target, installed: Installed): Server | undefined {
  if (serve(target, installed) !== undefined || target.runsItself) return undefined
  return target.async ? 'uvicorn' : 'gunicorn'
}

/**
 * Django's start: manage.py names the settings, and wsgi.py and asgi.py are beside them. RAILPACK_DJANGO_APP_NAME names another module
 * for WSGI.
 */
export async function djangoStart(app: App, env: Env, installed: Installed): Promise<Start> {
  const found = await djangoServers(app, env)
  const why = (server: string) => `${server} is installed, ${found.where}`
  if (found.wsgi !== undefined && installed.has('gunicorn')) {
    return { command: `gunicorn --bind ${host}:${port} ${found.wsgi}`, why: why('gunicorn') }
  }
  if (found.asgi !== undefined) {
    const name = `${found.asgi}:application`
    const start = serve({ file: '', root: '', name, factory: false, async: true, runsItself: false }, installed)
    if (start) return { ...start, why: why(start.why.split(' ')[0] ?? '') }
  }
  if (found.wsgi !== undefined && installed.has('waitress')) {
    return { command: `waitress-serve --listen=*:${port} ${found.wsgi}:application`, why: why('waitress') }
  }
  return { command: `python manage.py runserver --noreload ${host}:${port}`, why: 'manage.py is there' }
}

/** The server that a Django application needs and does not install. */
export async function djangoServer(app: App, env: Env, installed: Installed): Promise<Server | undefined> {
  if (!(await djangoStart(app, env, installed)).command.includes('runserver')) return undefined
  const { wsgi, asgi } = await djangoServers(app, env)
  return wsgi !== undefined ? 'gunicorn' : asgi !== undefined ? 'uvicorn' : undefined
}

/** The settings that the application is served with, if they differ from manage.py's, and the file that names them. */
export async function servedSettings(
  app: App,
  env: Env,
): Promise<{ readonly settings: string; readonly file: string } | undefined> {
  const { wsgi, asgi } = await djangoServers(app, env)
  const own = settingsIn((await app.read('manage.py')) ?? '')
  for (const module of [wsgi, asgi]) {
    if (module === undefined) continue
    const file = `${module.replaceAll('.', '/')}.py`
    const settings = settingsIn((await app.read(file)) ?? '')
    if (settings !== undefined) return settings === own ? undefined : { settings, file }
  }
  return undefined
}

const settingsIn = (source: string): string | undefined =>
  /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]/.exec(source)?.[1]

/** The modules with objects for servers: `shop.wsgi`. */
async function djangoServers(app: App, env: Env): Promise<DjangoServers> {
  const own = firstSetting(env, 'RAILPACK_DJANGO_APP_NAME')
  if (own !== undefined) {
    const wsgi = own.value.replace(/:application$/, '')
    if (await app.has(`${wsgi.replaceAll('.', '/')}.py`)) return { wsgi, asgi: undefined, where: own.name }
    throw new BuildpackError(`there is no ${wsgi.replaceAll('.', '/')}.py`, {
      where: own.name,
      fix: 'write the module with the WSGI application, such as shop.wsgi',
    })
  }
  const settings = settingsIn((await app.read('manage.py')) ?? '')
  const project = settings?.replace(/\.settings(\..*)?$/, '')
  const module = async (name: string) => {
    const isThere = project !== undefined && (await app.has(`${project.replaceAll('.', '/')}/${name}.py`))
    return isThere ? `${project}.${name}` : undefined
  }
  return { wsgi: await module('wsgi'), asgi: await module('asgi'), where: 'manage.py names the settings' }
}

interface DjangoServers {
  readonly wsgi: string | undefined
  readonly asgi: string | undefined
  readonly where: string
}
