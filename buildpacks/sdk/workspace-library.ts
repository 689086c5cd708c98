import type { App } from './app.ts'
import { isNxProject } from './nx-front-end.ts'
import type { PackageManifest } from './package-manifest.ts'
import { withoutComments } from './script-text.ts'
import { serverFiles } from './start-files.ts'
import { findWebFramework } from './web-frameworks.ts'

export interface Member {
  readonly app: App
  readonly manifest: PackageManifest
}

/** Packages of servers and workers: an application with one needs no start script to be a server. */
const serverPackages =
  /^(express|fastify|koa|@hapi\/hapi|hono|@hono\/node-server|polka|h3|elysia|restify|restana|micro|sails|uWebSockets\.js|socket\.io|ws|graphql-yoga|@apollo\/server|@trpc\/server|moleculer|bull|bullmq|bee-queue|agenda|pg-boss|graphile-worker|kafkajs|amqplib|@temporalio\/worker|node-cron|node-schedule|croner|discord\.js|telegraf|grammy|@slack\/bolt|probot|wrangler|serverless|firebase-functions|@google-cloud\/functions-framework|@(feathersjs|strapi|nestjs|fastify|medusajs|keystone-6|loopback|moleculer|adonisjs)\/.*)$/

/** Scripts that restart a program with each change. */
const watchers =
  /\b(tsx|nodemon|ts-node-dev|tsnd|ts-node|nest|wrangler)\s|\bnode\s+--watch|\bbun\s+(run\s+)?--(watch|hot)/

/** Names of scripts that are known to start no lasting program. */
const harmlessNames =
  /^(pre|post)?(build|bundle|compile|test|e2e|lint|format|fmt|prettier|eslint|stylelint|biome|type-?check|types|check|tsc|clean|prepare|prepack|pack|publish|publishOnly|release|version|coverage|docs?|storybook|gen|generate|codegen|i18n|install|size|bench)([:._-].*)?$/i

/** Programs that generate or check files, also if they watch for changes. */
const harmlessTools =
  /^((npx|pnpm exec|yarn|bunx|cross-env)\s+)*(\w+=\S*\s+)*((tsc|tsup|tsdown|rollup|esbuild|unbuild|pkgroll|rslib|swc|babel|webpack|rspack|parcel|microbundle|vite|vitest|jest|playwright|cypress|storybook|start-storybook|tailwindcss|postcss|sass|eslint|prettier|stylelint|biome|prisma|drizzle-kit|changeset|rm|rimraf|mkdir|cp|cpx|echo|exit|true)(\s|$)|(npm|pnpm|yarn|bun)( run)? (build|test|lint|clean)\b)/

const entryFiles = ['', 'src/'].flatMap(dir =>
  ['index', 'app', 'main', 'server', 'worker', 'bot', 'start'].flatMap(name =>
    ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'tsx', 'jsx'].map(ending => `${dir}${name}.${ending}`),
  ),
)

/** Code of programs that answer requests, or that end on a signal. */
const serves =
  /\bcreateServer\s*\(|\.listen\s*\(|\b(Bun|Deno)\.serve\b|\bWebSocketServer\b|\bprocess\.on\(\s*['"]SIG|['"](node:)?(http|https|http2|net|dgram|cluster)['"]|\bexport\s+default\s*\{[^}]*\bfetch\b/

const exportsSomething = /^\s*export\b|\bexports\s*(\.\s*\w+\s*=|\[|=)|\bdefineProperty\(\s*exports\b/m

/**
 * True if a package is known not to run beside a front end: no script starts anything, none of its files answers requests, and other
 * packages import it (`needed`) or its first file, if there is one, exports something.
 */
export async function isLibrary({ app, manifest }: Member, needed: boolean): Promise<boolean> {
  if ((await hasServer({ app, manifest })) || !scriptsOf(manifest).every(isHarmless)) return false
  const main = typeof manifest.main === 'string' && !manifest.main.startsWith('/') ? [manifest.main] : []
  for (const name of new Set([...entryFiles, ...main.map(file => file.replace(/^\.\//, ''))])) {
    if (name.split('/').includes('..') || !(await app.has(name))) continue
    const text = withoutComments((await app.read(name).catch(() => undefined)) ?? '')
    if (serves.test(text)) return false
    if (!needed && text.trim() !== '' && !/\.(json|css)$/.test(name) && !exportsSomething.test(text)) return false
  }
  return true
}

/** True if anything indicates that a package is a server or a worker. */
export async function hasServer({ app, manifest }: Member): Promise<boolean> {
  const { scripts, dependencies, devDependencies } = manifest
  if (isText(scripts['start']) || (await isNxProject(app))) return true
  const names = Object.keys({ ...dependencies, ...devDependencies })
  if (names.some(name => serverPackages.test(name)) || (await app.firstOf(serverFiles)) !== undefined) return true
  if (scriptsOf(manifest).some(([, script]) => watchers.test(script))) return true
  return (await findWebFramework(app)) !== undefined
}

/** The names of all packages that the given ones need, directly or through members of their workspace. */
export function neededBy(some: readonly PackageManifest[], members: readonly Member[]): ReadonlySet<string> {
  const needed = new Set<string>()
  const waiting = [...some]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const name of Object.keys({ ...next.dependencies, ...next.devDependencies })) {
      if (needed.has(name)) continue
      needed.add(name)
      waiting.push(...members.map(({ manifest }) => manifest).filter(manifest => manifest.name === name))
    }
  }
  return needed
}

function isHarmless([name, script]: readonly [string, string]): boolean {
  if (harmlessNames.test(name)) return true
  const commands = script.split(/&&|\|\||[;&|]/).map(command => command.trim())
  return !/on-?success/i.test(script) && commands.every(command => command === '' || harmlessTools.test(command))
}

const scriptsOf = ({ scripts }: PackageManifest): [string, string][] =>
  Object.entries(scripts).filter((entry): entry is [string, string] => isText(entry[1]))

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''
