import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import type { App } from './app.ts'
import { type FrontEndTool, frontEndTools, outputOption, type FrontEnd } from './front-end-tools.ts'
import { findNxFrontEnd } from './nx-front-end.ts'
import { type PackageManifest, readManifest } from './package-manifest.ts'
import { otherScripts, serverFiles } from './start-files.ts'
import { configOf, findWebFramework, servesFilesOnly, type WebFramework } from './web-frameworks.ts'

/** Packages that answer requests themselves. With one of them the application is a server, whatever builds its pages. */
const servers = /^(express|fastify|koa|@hapi\/hapi|hono|polka|h3|vinxi)$/

/**
 * Servers of files or of examples, which developers use beside a front end. They count in `dependencies`, or if a Procfile may start
 * them.
 */
const plainServers = /^(serve|http-server|json-server)$/

const routers =
  /^(react-router(-dom)?|@tanstack\/(react|vue|solid)-router|vue-router|@angular\/router|wouter|@solidjs\/router|svelte-routing|svelte-spa-router|preact-router|preact-iso|@vaadin\/router|@lit-labs\/router|@reach\/router|ember-source)$/

/** The front end that a build makes of the application; undefined if there is none, or if the application is also a server. */
export async function findFrontEnd(app: App): Promise<FrontEnd | undefined> {
  const json = await readManifest(app)
  const names = Object.keys({ ...json.dependencies, ...json.devDependencies })
  const framework = await findWebFramework(app)
  if (framework !== undefined) return filesOfFramework(app, framework, json)
  const plain = (await app.has('Procfile')) ? names : Object.keys(json.dependencies)
  if (names.some(name => servers.test(name)) || plain.some(name => plainServers.test(name))) return undefined
  const tool = frontEndTools.find(candidate => names.includes(candidate.package))
  if (await startsServer(app, json)) return undefined
  const script = json.scripts['build']
  if (tool === undefined) {
    if (isText(script)) return guessFrontEnd(app, json, script)
    return (await findNxFrontEnd(app, routers)) ?? findStorybook(app, json)
  }
  if (tool.ofServers && (await startsWithNode(app, json, otherScripts, source => !speaksToBrowser(source))))
    return undefined
  // Vite and Parcel without a script may serve for tests, or to build a library.
  if (!isText(script) && ['vite', 'parcel'].includes(tool.package) && !(await app.has('index.html')))
    return findStorybook(app, json)
  const config = await (tool.readConfig?.(app) ?? configOf(app, ...(tool.configs ?? [])))
  const [asked, needsServer] = tool.needsServer ?? []
  return {
    name: tool.name,
    build: tool.build,
    output: await outputOf(app, tool, config, isText(script) ? script : ''),
    pushState: names.some(name => routers.test(name)) || tool.pushState?.test(config) === true,
    hashed: tool.hashed ?? [],
    ...(asked?.test(config) && { needsServer }),
  }
}

/** Usual places of pages for bundlers. */
const pageSources = ['index.html', 'src/index.html', 'app/index.html', 'public/index.html', 'static/index.html']

/** Further files that Bun starts without a start script. */
const bunFiles = ['index', 'app', 'main', 'src/index', 'src/server', 'src/main'].flatMap(name => [
  `${name}.ts`,
  `${name}.tsx`,
])

/** A build script beside a page, if nothing could start with Node.js, Bun or Deno: esbuild, Rollup, Sass, or the author's own script. */
async function guessFrontEnd(app: App, json: PackageManifest, script: string): Promise<FrontEnd | undefined> {
  if ((await app.firstOf(pageSources)) === undefined) return undefined
  if (await hasStart(app, json)) return undefined
  const output = outputOption.exec(script)?.[1] ?? 'dist'
  return { name: 'its script "build"', build: script, output, pushState: false, hashed: [], guessed: true }
}

/** Components that Storybook shows, if its own script builds the pages and nothing else builds or starts. */
async function findStorybook(app: App, json: PackageManifest): Promise<FrontEnd | undefined> {
  const build = json.scripts['build-storybook'] ?? json.scripts['storybook:build']
  if (!isText(build) || (await hasStart(app, json))) return undefined
  const output = outputOption.exec(build)?.[1] ?? /\s-o[ =](?:\.\/)?([\w./-]+)/.exec(build)?.[1] ?? 'storybook-static'
  return { name: 'Storybook', build, output, pushState: false, hashed: ['assets'], guessed: true }
}

/** Whether Node.js, Bun or Deno could start any file other than a page's script, if no known tool bundles such files. */
async function hasStart(app: App, json: PackageManifest): Promise<boolean> {
  const isBun = (await app.firstOf(['bun.lock', 'bun.lockb'])) !== undefined
  const files = [...otherScripts, ...(isBun ? bunFiles : [])]
  return startsWithNode(app, json, files, source => !isForPage(source, json))
}

/** Whether Node.js, Bun or Deno could start something without a start script, or whether a development script starts a server. */
async function startsWithNode(
  app: App,
  { main, scripts }: PackageManifest,
  files: readonly string[],
  isStart: (source: string) => boolean,
): Promise<boolean> {
  const start = scripts['start']
  if (isText(start)) {
    const called = scripts[/\b(?:npm|yarn|pnpm|bun)(?: run)? ([\w:.-]+)/.exec(start)?.[1] ?? '']
    if (isText(called) && !servesFilesOnly(called)) return true
  }
  const mainFiles = isText(main) ? [`${main}.js`, posix.join(main, 'index.js')] : []
  if ((await app.firstOf([...mainFiles, 'deno.json', 'deno.jsonc', 'deno.lock'])) !== undefined) return true
  for (const name of files) {
    const source = await app.read(name)
    if (source !== undefined && isStart(source)) return true
  }
  return false
}

/** Whether a script belongs to a page, and imports no package that Node.js would have to find at run time. */
function isForPage(source: string, { dependencies }: PackageManifest): boolean {
  const imported = source.matchAll(/\b(?:from|import)\s*\(?\s*['"]((?:@[\w.-]+\/)?\w[\w.-]*)(?=[/'"])/g)
  for (const [, name = ''] of imported) if (isBuiltin(name) || dependencies[name] !== undefined) return false
  return speaksToBrowser(source)
}

function speaksToBrowser(source: string): boolean {
  const browser = /(?<![\w.])(?:document|window|navigator|localStorage|customElements)\s*[.[]/
  return (
    !isForNode(source) && (browser.test(source) || /\bimport\s+['"][^'"]+\.(?:css|scss|sass|less)['"]/.test(source))
  )
}

/** Whether a script uses Node.js. Other scripts belong to a page. */
export function isForNode(source: string): boolean {
  return /\brequire\s*\(|\bprocess\.|\bmodule\.exports\b|from\s+['"]node:|\.listen\s*\(/.test(source)
}

async function startsServer(app: App, { main, scripts }: PackageManifest): Promise<boolean> {
  const start = scripts['start']
  if (isText(start)) return !servesFilesOnly(start)
  const files = [...serverFiles, ...(isText(main) ? [main] : [])]
  return (await app.firstOf(files)) !== undefined
}

/** Frameworks that are servers by default, if their configuration or the build script requests files only. */
async function filesOfFramework(
  app: App,
  framework: WebFramework,
  { scripts }: PackageManifest,
): Promise<FrontEnd | undefined> {
  const script = isText(scripts['build']) ? scripts['build'] : ''
  switch (framework) {
    case 'Next': {
      const config = await configOf(app, 'next.config')
      if (!/\boutput\s*:\s*['"`]export['"`]/.test(config)) return undefined
      const output = /\bdistDir\s*:\s*['"`](?:\.\/)?([\w./-]+)/.exec(config)?.[1] ?? 'out'
      return { name: 'Next.js', build: 'next build', output, pushState: false, hashed: ['_next/static'] }
    }
    case 'Nuxt': {
      // Nitro builds Nuxt's servers.
      const preset = /\bpreset\s*:\s*['"`](?:static|github[-_]pages)['"`]/
      const isStatic = preset.test(await configOf(app, 'nuxt.config'))
      if (!isStatic && !/\b(nuxt|nuxi)\s+generate\b/.test(script)) return undefined
      return { name: 'Nuxt', build: 'nuxt generate', output: '.output/public', pushState: false, hashed: ['_nuxt'] }
    }
    case 'React Router':
      if (!/\bssr\s*:\s*false\b/.test(await configOf(app, 'react-router.config'))) return undefined
      return clientBuild('React Router', 'react-router build', 'build/client')
    case 'Remix':
      if (!/\bssr\s*:\s*false\b/.test(await configOf(app, 'vite.config'))) return undefined
      return clientBuild('Remix', 'remix vite:build', 'build/client')
    case 'Angular SSR':
      if (!/"outputMode"\s*:\s*"static"/.test((await app.read('angular.json')) ?? '')) return undefined
      return {
        name: 'Angular',
        build: 'ng build',
        output: (await angularOutput(app)) ?? 'dist',
        pushState: true,
        hashed: [],
      }
    case 'Qwik':
      if (!(await app.hasDirectory('adapters/static'))) return undefined
      for (const server of ['express', 'fastify', 'node-server']) {
        if (await app.hasDirectory(`adapters/${server}`)) return undefined
      }
      return { name: 'Qwik', build: 'qwik build', output: 'dist', pushState: false, hashed: ['build', 'assets'] }
    default:
      return undefined
  }
}

/** A front end that renders in the browser, though the framework could render it on a server. */
const clientBuild = (name: string, build: string, output: string): FrontEnd => ({
  name,
  build,
  output,
  pushState: true,
  hashed: ['assets'],
})

async function outputOf(app: App, tool: FrontEndTool, config: string, script: string): Promise<string> {
  const named = outputOption.exec(script)?.[1]
  if (named !== undefined) return named
  if (tool.package === '@angular/cli') return (await angularOutput(app)) ?? tool.output
  const dir = tool.below?.exec(script)?.[1]
  if (dir !== undefined) return posix.join(dir, tool.output)
  return tool.named?.exec(config)?.[1] || tool.output
}

/** angular.json: `outputPath` of the one project, a text or a table. Its pages are in `browser` below that. */
async function angularOutput(app: App): Promise<string | undefined> {
  const text = (await app.read('angular.json')) ?? ''
  const path = /"outputPath"\s*:\s*(?:"([^"]+)"|\{[^}]*"base"\s*:\s*"([^"]+)")/.exec(text)
  const project = /"projects"\s*:\s*\{\s*"([^"]+)"/.exec(text)?.[1]
  return path?.[1] ?? path?.[2] ?? (project === undefined ? undefined : `dist/${project}`)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}
