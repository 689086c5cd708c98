import { dirname, posix, relative } from 'node:path'
import { App } from './app.ts'
import { outputOption, type FrontEnd } from './front-end-tools.ts'
import { readManifest } from './package-manifest.ts'
import { type Table, tableOf } from './tables.ts'
import { configOf } from './web-frameworks.ts'

const configurationsOf = (tools: readonly string[]) =>
  tools.flatMap(tool => ['js', 'cjs', 'mjs', 'ts', 'mts', 'cts'].map(ending => `${tool}.config.${ending}`))
/** Tools that build front ends, unless their configuration says otherwise. */
const pageTools = ['vite', 'webpack', 'rspack', 'rsbuild']
/** The files from which Nx infers that a project is built. */
export const inferredFrom = configurationsOf([...pageTools, 'next'])

/** Executors of Nx and of Angular that bundle pages; others compile servers and libraries. */
const pageExecutors =
  /^(@nx|@nrwl|@angular|@angular-devkit|@angular-builders|@rsbuild)\/\S*(vite|webpack|rspack|rsbuild|angular|web|build):/
const serverExecutors = /:(?:server|ssr|node|prerender)|^@nx\/(?:next|node|nest|esbuild|js|remix|nuxt|express):/

/** Whether a folder of an Nx repository is an application for Nx. */
export async function isNxProject(app: App): Promise<boolean> {
  const project = await readJson(app, 'project.json')
  const type = project?.['projectType'] ?? tableOf((await readJson(app, 'package.json'))?.['nx'])['projectType']
  if (/-e2e$/.test(app.path)) return false
  return type === 'application' || (type === undefined && (await app.has('tsconfig.app.json')))
}

/** The front end that Nx builds from an application; undefined if the application is a server, or if Nx does not build it. */
export async function findNxFrontEnd(app: App, routers: RegExp): Promise<FrontEnd | undefined> {
  const root = await nxRoot(app)
  if (root === undefined || !(await isNxProject(app))) return undefined
  const project = await readJson(app, 'project.json')
  const targets = {
    ...tableOf(tableOf((await readJson(app, 'package.json'))?.['nx'])['targets']),
    ...tableOf(project?.['targets']),
  }
  const build = tableOf(targets['build'])
  const { executor } = build
  const options = tableOf(build['options'])
  if (typeof executor === 'string' && (serverExecutors.test(executor) || !pageExecutors.test(executor)))
    return undefined
  if (options['target'] === 'node' || options['ssr'] !== undefined || options['server'] !== undefined) return undefined
  const configs = await Promise.all(pageTools.map(tool => configOf(app, `${tool}.config`)))
  const config = configs.join('\n')
  const isInferred = (await app.firstOf(configurationsOf(pageTools))) !== undefined
  if (executor === undefined && build['command'] === undefined && !isInferred) return undefined
  if (/\btarget\s*:\s*['"`](?:node|async-node)|\bssr\s*:/.test(config)) return undefined
  if (
    (await app.firstOf(['index.html', 'src/index.html'])) === undefined ||
    (await app.firstOf(serverSources)) !== undefined
  )
    return undefined
  const dir = relative(root.path, app.path)
  const { dependencies, devDependencies } = await readManifest(root)
  return {
    name: 'Nx',
    build: 'nx build',
    output: posix.join(relative(app.path, root.path), outputFrom(dir, options, build['command'], config)),
    pushState: Object.keys({ ...dependencies, ...devDependencies }).some(name => routers.test(name)),
    hashed: ['assets'],
  }
}

/** Usual names of a server's sources beside a page. */
const serverSources = [
  'src/main.server.ts',
  'src/server.ts',
  'server.ts',
  'src/entry-server.tsx',
  'src/entry-server.ts',
  'next.config.js',
]

/** The output directory of the build, relative to the root of the repository. */
function outputFrom(dir: string, { outputPath }: Table, command: unknown, config: string): string {
  const named = typeof outputPath === 'string' ? outputPath : tableOf(outputPath)['base']
  if (typeof named === 'string')
    return posix.normalize(named.replace('{workspaceRoot}', '.').replace('{projectRoot}', dir))
  const own =
    (typeof command === 'string' ? outputOption.exec(command)?.[1] : undefined) ??
    /\boutDir\s*:\s*['"`]([\w./-]+)['"`]/.exec(config)?.[1] ??
    /\bpath\s*:\s*(?:path\.)?(?:join|resolve)\(\s*(?:__dirname|import\.meta\.dirname)\s*,\s*['"`]([\w./-]+)['"`]/.exec(
      config,
    )?.[1]
  const output = own === undefined ? `dist/${dir}` : posix.join(dir, own)
  return output.startsWith('..') || output.startsWith('/') ? `dist/${dir}` : output
}

/** The root of the Nx repository that contains a folder. */
async function nxRoot(app: App): Promise<App | undefined> {
  let path = app.path
  for (let level = 0; level < 6 && path !== dirname(path); level++) {
    path = dirname(path)
    const root = new App(path)
    if (await root.has('nx.json')) return root
  }
  return undefined
}

/** The Node.js buildpack reports invalid JSON. */
async function readJson(app: App, name: string): Promise<Table | undefined> {
  const text = (await app.has(name)) ? await app.read(name) : undefined
  if (text === undefined) return undefined
  try {
    return tableOf(JSON.parse(text))
  } catch {
    return {}
  }
}
