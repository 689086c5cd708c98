import type { App } from './app.ts'
import { readManifest } from './package-manifest.ts'
import { withoutComments } from './script-text.ts'

/** Frameworks whose applications are servers, even if package.json does not say how they start. */
const packages = {
  'Angular SSR': /^@angular\/ssr$/,
  Next: /^next$/,
  Nuxt: /^nuxt3?$/,
  SvelteKit: /^@sveltejs\/kit$/,
  'TanStack Start': /^@tanstack\/(react|solid|vue)-start$/,
  'React Router': /^@react-router\/(dev|node|serve)$/,
  Remix: /^@remix-run\/(dev|node|serve)$/,
  Astro: /^@astrojs\/(node|vercel|netlify|cloudflare)$/,
  SolidStart: /^@solidjs\/start$/,
  Analog: /^@analogjs\/platform$/,
  Qwik: /^(@builder\.io\/qwik-city|@qwik\.dev\/router)$/,
  Nitro: /^(nitro|nitropack)$/,
  NestJS: /^@nestjs\/core$/,
  AdonisJS: /^@adonisjs\/core$/,
} as const

/** The name for users. */
export type WebFramework = keyof typeof packages

/**
 * The framework whose server an application is, by its packages: the first match if one framework is built upon another. Some
 * frameworks can omit their server by configuration; `findFrontEnd` recognises that.
 */
export async function findWebFramework(app: App): Promise<WebFramework | undefined> {
  const { dependencies, devDependencies } = await readManifest(app)
  const names = Object.keys({ ...dependencies, ...devDependencies })
  const all = Object.entries(packages) as [WebFramework, RegExp][]
  const framework = all.find(([, pattern]) => names.some(name => pattern.test(name)))?.[0]
  if (framework === 'Astro' && /^(?!.*\badapter\b)./s.test(await configOf(app, 'astro.config'))) return undefined
  if (framework === 'SvelteKit' && /\badapter-static\b/.test(await svelteConfig(app))) return undefined
  return framework
}

/**
 * SvelteKit's settings: the argument of its plugin in Vite's configuration, with the names of the imports there; else SvelteKit's own
 * file, which SvelteKit ignores beside that (svelte.dev/docs/kit/@sveltejs-kit-vite). The settings of other plugins have the same
 * names.
 */
export async function svelteConfig(app: App): Promise<string> {
  const vite = await configOf(app, 'vite.config')
  const call = /\bsveltekit\(\s*(?=[^\s)])/.exec(vite)
  if (call === null) return configOf(app, 'svelte.config')
  const given = vite.slice(call.index + call[0].length)
  // A constant, which may be defined anywhere.
  if (!given.startsWith('{')) return vite
  return [...(vite.match(/^[ \t]*import\b.*/gm) ?? []), firstObject(given)].join('\n')
}

/** The text from a brace to its closing brace. */
function firstObject(script: string): string {
  let depth = 0
  for (const { 0: brace, index } of script.matchAll(/[{}]/g)) {
    depth += brace === '{' ? 1 : -1
    if (depth === 0) return script.slice(0, index + 1)
  }
  return script
}

/** The text of a tool's configuration without comments, from one or several files with any extension; empty if there is none. */
export async function configOf(app: App, ...names: readonly string[]): Promise<string> {
  const texts = names.map(async name => {
    const endings = ['js', 'ts', 'mjs', 'mts', 'cjs', 'cts'].map(ending => `${name}.${ending}`)
    const file = await app.firstOf(name.endsWith('.json') ? [name] : endings)
    return file === undefined ? '' : withoutComments((await app.read(file)) ?? '')
  })
  return (await Promise.all(texts)).join('\n')
}

/** Commands that start a development server, a preview, or a server of files only. */
const developmentServers =
  /^((npm|yarn|pnpm|bun)( run)? (dev|serve|preview|develop)|vite|react-scripts|ng|vue-cli-service|gatsby|ember|astro|parcel|eleventy|docusaurus|vitepress|vuepress|rspress|rsbuild|rspack|stencil|craco|webpack-dev-server|webpack( serve)?|gulp|grunt|brunch|broccoli|wds|web-dev-server|es-dev-server|live-server|browser-sync|rollup|(next|nuxt|nuxi|vinxi|svelte-kit|react-router|remix|nitro|nitropack) (dev|preview|vite:dev)|nuxt start|node ace (serve|dev)|node ace\.js serve|nest start|(quasar|ionic|umi|max|preact|hexo|storybook|slidev|expo|farm|gridsome|observable|evidence|vike|honkit) \S+)(\s|$)/

/** Programs that serve the files of an existing folder. */
const fileServers = /^(serve|http-server|sirv)(\s|$)/

/** True if a start script is for developers: a better start, if there is one, replaces it. */
export function isForDevelopment(startScript: string): boolean {
  return developmentServers.test(programOf(startScript))
}

/**
 * True if a start script only serves a front end's files, so that the static buildpack can replace it. The last command decides: `vite
 * build && vite preview` does, and `webpack && node server.js` starts a server.
 */
export function servesFilesOnly(startScript: string): boolean {
  if (!isForDevelopment(startScript)) return false
  const commands = startScript.split(/&&|;|\s&(?=\s|$)/).filter(command => command.trim() !== '')
  const last = commands.at(-1) ?? startScript
  return isForDevelopment(last) || (commands.length > 1 && fileServers.test(programOf(last)))
}

/** A command, starting with its program. */
function programOf(command: string): string {
  return command.trim().replace(/^(\w+=\S+\s+|npx\s+|cross-env\s+)+/, '')
}
