import { type App, chooseFunction, firstSetting, shellQuote } from '../sdk/index.ts'
import { candidateFiles, notebooks } from '../sdk/python-starts.ts'
import type { Start, Installed } from './installed.ts'
import { serveOnPort } from './listen.ts'
import { portOfCall, portOfSetting } from './port.ts'
import { host, port } from './serve.ts'
import { readsPort } from './target.ts'

/** A framework with a server of its own, which the files of its applications do not name. */
interface FrameworkServer {
  readonly package: string
  readonly name: string
  /** `FILE` stands for the application's file. */
  readonly command: string
  /** Whether the command starts this file. */
  readonly starts?: (source: string) => boolean
}

/** Any origin: the build does not know the host under which the image is reached. */
const anyOrigin = 'BOKEH_ALLOW_WS_ORIGIN="${BOKEH_ALLOW_WS_ORIGIN:-*}"'

const servers: readonly FrameworkServer[] = [
  {
    package: 'streamlit',
    name: 'Streamlit',
    command: `streamlit run FILE --server.address ${host} --server.port ${port} --server.headless true`,
  },
  { package: 'gradio', name: 'Gradio', command: `GRADIO_SERVER_NAME=${host} GRADIO_SERVER_PORT=${port} python FILE` },
  { package: 'chainlit', name: 'Chainlit', command: `chainlit run FILE --headless --host ${host} --port ${port}` },
  { package: 'marimo', name: 'marimo', command: `marimo run FILE --headless --host ${host} --port ${port}` },
  { package: 'shiny', name: 'Shiny', command: `shiny run --host ${host} --port ${port} FILE` },
  {
    package: 'solara',
    name: 'Solara',
    command: `solara run FILE --production --no-open --host ${host} --port ${port}`,
  },
  {
    package: 'panel',
    name: 'Panel',
    command: `${anyOrigin} panel serve FILE --address ${host} --port ${port}`,
    starts: source => !/\b(?:pn|panel)\.serve\(|\.show\(/.test(source),
  },
  {
    package: 'bokeh',
    name: 'Bokeh',
    command: `${anyOrigin} bokeh serve FILE --address ${host} --port ${port}`,
    starts: source => /\bcurdoc\b/.test(source),
  },
  {
    package: 'robyn',
    name: 'Robyn',
    command: `${serveOnPort('robyn', '')} FILE`,
  },
]

/** A framework whose applications start its server with a call, which names the address. */
interface CalledServer {
  readonly package: string
  readonly name: string
  readonly call: RegExp
  /** The index of the port among the positional arguments. */
  readonly position?: number
  /** The setting that holds the port, if it is no argument. */
  readonly setting?: string
}

const calledServers: readonly CalledServer[] = [
  { package: 'nicegui', name: 'NiceGUI', call: /\bui\.run\(/ },
  { package: 'aiohttp', name: 'aiohttp', call: /\brun_app\(/ },
  { package: 'tornado', name: 'Tornado', call: /\.listen\(/, position: 0 },
  { package: 'bottle', name: 'Bottle', call: /\brun\(/, position: 3 },
  { package: 'cherrypy', name: 'CherryPy', call: /\bquickstart\(|\bengine\.start\(/, setting: 'socket_port' },
]

/** The start of frameworks that bring their own servers, and of Voilà's notebook. */
export async function frameworkStart(app: App, installed: Installed): Promise<Start | undefined> {
  for (const file of ['streamlit_app.py', ...(await candidateFiles(app))]) {
    const source = (await app.read(file)) ?? ''
    const isFor = ({ package: name }: FrameworkServer | CalledServer) =>
      installed.has(name) && new RegExp(`^\\s*(?:import|from)\\s+${name}\\b`, 'm').test(source)
    const server = servers.find(candidate => isFor(candidate) && candidate.starts?.(source) !== false)
    if (server)
      return { command: server.command.replace('FILE', () => shellQuote(file)), why: `${file} is for ${server.name}` }
    const called = readsPort(source) ? [] : calledServers.filter(isFor)
    for (const { package: name, name: title, call, position, setting } of called) {
      const named = setting === undefined ? portOfCall(source, call, position) : portOfSetting(source, call, setting)
      if (named === undefined) continue
      const instead = named === '' ? '' : ` instead of ${named}`
      const why = `${file} is for ${title}, which listens on $PORT${instead}`
      return { command: `${serveOnPort(name, named)} ${shellQuote(file)}`, why }
    }
  }
  const [notebook, ...others] = installed.has('voila') ? await notebooks(app) : []
  if (notebook === undefined) return undefined
  const what = others.length > 0 ? '' : `${shellQuote(notebook)} `
  return {
    command: `voila ${what}--no-browser --Voila.ip=${host} --port=${port}`,
    why: others.length > 0 ? 'voila is installed, and shows the notebooks' : `voila is installed, ${notebook} is there`,
  }
}

/**
 * A function of Google's Functions Framework: the one that GOOGLE_FUNCTION_TARGET names, or the only one that the file registers.
 * undefined if there is none, or if there are several beside a Procfile or another start command.
 * @throws BuildpackError if there are several, and nothing decides
 */
export async function functionStart(
  app: App,
  env: Readonly<Record<string, string>>,
  installed: Installed,
): Promise<Start | undefined> {
  if (!installed.has('functions-framework')) return undefined
  const file = firstSetting(env, 'GOOGLE_FUNCTION_SOURCE')?.value ?? 'main.py'
  const registered = /^@functions_framework\.\w+(?:\([^)\n]*\))?\s*\n(?:@.*\n)*(?:async\s+)?def\s+(\w+)/gm
  const names = Array.from(((await app.read(file)) ?? '').matchAll(registered), ([, name = '']) => name)
  const chosen = await chooseFunction(app, env, names, file)
  if (chosen === undefined) return undefined
  const type = firstSetting(env, 'GOOGLE_FUNCTION_SIGNATURE_TYPE')
  const options = [
    ...(file === 'main.py' ? [] : [`--source ${shellQuote(file)}`]),
    ...(type === undefined ? [] : [`--signature-type ${shellQuote(type.value)}`]),
  ].map(option => ` ${option}`)
  return {
    command: `functions-framework --target ${shellQuote(chosen.name)}${options.join('')} --host ${host} --port ${port}`,
    why: chosen.setting ?? `${file} has the function ${chosen.name}`,
  }
}
