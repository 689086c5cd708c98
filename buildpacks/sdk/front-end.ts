import type { App } from './app.ts'
import { type PackageManifest, readManifest } from './package-manifest.ts'

/** A front end whose build gives files and no server. */
export interface FrontEnd {
  /** As people call the tool: `Vite`. */
  readonly name: string
  /** Where the build leaves the files, as far as that is known before. */
  readonly output: string
  /** The page finds its way by the path: every path that is no file is the start page's. */
  readonly pushState: boolean
  /** Names of files below these directories of the output change with their contents. */
  readonly hashed: readonly string[]
}

interface Tool {
  readonly package: string
  readonly name: string
  readonly output: string
  readonly hashed?: readonly string[]
  /** A file that may name another output: its name without the ending, and how it names it. */
  readonly config?: readonly [file: string, output: RegExp]
}

const outDir = /\boutDir\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/

/** Tools by precedence: what is built upon another comes before it. */
const tools: readonly Tool[] = [
  { package: '@docusaurus/core', name: 'Docusaurus', output: 'build', hashed: ['assets'] },
  { package: 'vitepress', name: 'VitePress', output: '.vitepress/dist', hashed: ['assets'] },
  { package: '@sveltejs/adapter-static', name: 'SvelteKit', output: 'build', hashed: ['_app/immutable'] },
  { package: 'gatsby', name: 'Gatsby', output: 'public', hashed: ['static'] },
  { package: '@11ty/eleventy', name: 'Eleventy', output: '_site' },
  { package: 'astro', name: 'Astro', output: 'dist', hashed: ['_astro'], config: ['astro.config', outDir] },
  { package: 'react-scripts', name: 'Create React App', output: 'build', hashed: ['static'] },
  { package: '@angular/cli', name: 'Angular', output: 'dist' },
  {
    package: '@vue/cli-service',
    name: 'Vue CLI',
    output: 'dist',
    config: ['vue.config', /\boutputDir\s*:\s*['"`]([\w./-]+)/],
  },
  { package: 'ember-cli', name: 'Ember', output: 'dist', hashed: ['assets'] },
  { package: '@stencil/core', name: 'Stencil', output: 'www' },
  { package: 'vite', name: 'Vite', output: 'dist', hashed: ['assets'], config: ['vite.config', outDir] },
  { package: 'parcel', name: 'Parcel', output: 'dist' },
]

/** Packages that answer requests themselves: with one of these, the application is a server, whatever builds its pages. */
const servers =
  /^(express|fastify|koa|@hapi\/hapi|hono|polka|h3|@nestjs\/core|@remix-run\/(node|serve|express)|@react-router\/(node|serve|express)|@angular\/ssr|@astrojs\/(node|vercel|netlify|cloudflare)|@sveltejs\/adapter-(node|auto)|next|nuxt|@tanstack\/(react|solid)-start|vinxi|serve|http-server|json-server)$/

const routers =
  /^(react-router(-dom)?|@tanstack\/(react|vue|solid)-router|vue-router|@angular\/router|wouter|@solidjs\/router|svelte-routing|svelte-spa-router|preact-router|@reach\/router|ember-source)$/

/** What such tools start for development only; a start script of another kind starts a server. */
const developmentServers =
  /^(npm run (dev|serve|preview|develop)|yarn (dev|serve)|pnpm (dev|serve)|vite|react-scripts|ng|vue-cli-service|gatsby|ember|astro|parcel|eleventy|docusaurus|vitepress|stencil|craco|webpack-dev-server|webpack( serve)?|rollup)(\s|$)/

/**
 * The front end that `npm run build` makes of the application; undefined if there is none, or if it is a server besides.
 */
export async function findFrontEnd(app: App): Promise<FrontEnd | undefined> {
  const json = await readManifest(app)
  if (!isText(json.scripts['build'])) return undefined
  const names = Object.keys({ ...json.dependencies, ...json.devDependencies })
  const exported = await exportedByNext(app, names)
  if (exported) return exported
  const tool = tools.find(candidate => names.includes(candidate.package))
  if (tool === undefined || names.some(name => servers.test(name)) || (await startsServer(app, json))) return undefined
  return {
    name: tool.name,
    output: await outputOf(app, tool),
    pushState: names.some(name => routers.test(name)),
    hashed: tool.hashed ?? [],
  }
}

async function startsServer(app: App, { main, scripts }: PackageManifest): Promise<boolean> {
  const start = scripts['start']
  if (isText(start)) return !developmentServers.test(start.replace(/^(\w+=\S+\s+|npx\s+|cross-env\s+)+/, ''))
  const files = ['server.js', 'server.mjs', 'server.cjs', 'server.ts', ...(isText(main) ? [main] : [])]
  return (await app.firstOf(files)) !== undefined
}

/** Next.js makes files alone if its configuration says so. */
async function exportedByNext(app: App, names: readonly string[]): Promise<FrontEnd | undefined> {
  if (!names.includes('next')) return undefined
  const file = await app.firstOf(['next.config.js', 'next.config.mjs', 'next.config.ts', 'next.config.cjs'])
  const config = file === undefined ? '' : ((await app.read(file)) ?? '')
  if (!/\boutput\s*:\s*['"`]export['"`]/.test(config)) return undefined
  const output = /\bdistDir\s*:\s*['"`](?:\.\/)?([\w./-]+)/.exec(config)?.[1] ?? 'out'
  return { name: 'Next.js', output, pushState: false, hashed: ['_next/static'] }
}

async function outputOf(app: App, tool: Tool): Promise<string> {
  if (tool.package === '@angular/cli') return (await angularOutput(app)) ?? tool.output
  if (tool.config === undefined) return tool.output
  const [name, output] = tool.config
  const file = await app.firstOf(['js', 'ts', 'mjs', 'mts', 'cjs', 'cts'].map(ending => `${name}.${ending}`))
  return (file && output.exec((await app.read(file)) ?? '')?.[1]) || tool.output
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
