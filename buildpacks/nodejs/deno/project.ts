import { posix } from 'node:path'
import { type App, shellQuote } from '../../sdk/index.ts'
import { withoutTexts } from '../../sdk/script-text.ts'
import { type Table, tableOf } from '../../sdk/tables.ts'
import type { PackageJson } from '../package-json.ts'
import type { Start } from '../start.ts'
import { parseYaml } from '../yaml.ts'

/** An application that Deno runs. */
export interface DenoProject {
  /** deno.json or deno.jsonc; undefined if there is none. */
  readonly config: string | undefined
  /** The lock file, if it exists. */
  readonly lockFile: string | undefined
  readonly tasks: Readonly<Record<string, string>>
  /** Packages are in node_modules in the application's folder, instead of in Deno's cache. */
  readonly nodeModules: boolean
  /** The start file, if a file starts. */
  readonly entry: string | undefined
  /** The start file exports a handler for `deno serve`, instead of starting a server. */
  readonly exportsHandler: boolean
}

const configs = ['deno.json', 'deno.jsonc']
const entries = ['main', 'server', 'index', 'app', 'mod', 'src/main', 'src/server', 'src/index', 'src/app'].flatMap(
  name => ['ts', 'tsx', 'js', 'mjs'].map(ending => `${name}.${ending}`),
)

/**
 * The application, if Deno runs it: it has Deno's files, and neither a start script nor a lock file for Node.js. Many Node.js
 * applications have a deno.json for Deno's formatter.
 */
export async function findDeno(app: App, json: PackageJson | undefined): Promise<DenoProject | undefined> {
  const config = await app.firstOf(configs)
  const lock = await app.firstOf(['deno.lock'])
  if (config === undefined && lock === undefined) return undefined
  const settings = config === undefined ? {} : parseJsonc((await app.read(config)) ?? '', config)
  const tasks = textsIn(settings['tasks'])
  if (json !== undefined) {
    const start = json.scripts['start']
    const others = await app.firstOf([
      'package-lock.json',
      'npm-shrinkwrap.json',
      'yarn.lock',
      'pnpm-lock.yaml',
      'bun.lock',
      'bun.lockb',
    ])
    const isNode =
      others !== undefined || json.packageManager !== undefined || (start !== undefined && !/^deno\s/.test(start))
    if (isNode && tasks['start'] === undefined) return undefined
  }
  const entry = await app.firstOf(entries)
  return {
    config,
    lockFile: settings['lock'] === false ? undefined : lock,
    tasks: { ...json?.scripts, ...tasks },
    nodeModules:
      settings['nodeModulesDir'] === 'auto' ||
      settings['nodeModulesDir'] === 'manual' ||
      settings['nodeModulesDir'] === true ||
      json !== undefined,
    entry,
    exportsHandler: entry !== undefined && isHandler((await app.read(entry)) ?? '', entry, Object.values(tasks)),
  }
}

/** `deno init --serve` writes such a file, and only a task "dev" for it. */
function isHandler(source: string, entry: string, tasks: readonly string[]): boolean {
  if (/\bDeno\.serve\s*\(/.test(source) || !/^export\s+default\b/m.test(source)) return false
  const isServed = tasks.some(
    task => servesFile.test(task) && task.split(/\s+/).some(word => posix.normalize(word) === entry),
  )
  return isServed || exportsFetch(source)
}

/** The default export is an object with a member `fetch`: `fetch() {`, `async fetch() {`, `fetch: handle` or `fetch`. */
function exportsFetch(source: string): boolean {
  const code = withoutTexts(source.replace(/(["'])fetch\1(?=\s*[:(])/g, 'fetch'))
  const object = /^export\s+default\s*(?=\{)/m.exec(code)
  if (object === null) return false
  const tokens = /(?<=[{,]\s*(?:async\s+)?)\bfetch(?=\s*[:(,}<])|[{}()[\]]/g
  tokens.lastIndex = object.index + object[0].length
  for (let depth = 0, token = tokens.exec(code); token !== null; token = tokens.exec(code)) {
    if (token[0] === 'fetch') {
      if (depth === 1) return true
    } else depth += '{(['.includes(token[0]) ? 1 : -1
    if (depth === 0) return false
  }
  return false
}

/** Tasks are texts, or tables with a command. */
function textsIn(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tableOf(value)).flatMap(([name, task]) => {
      const command = typeof task === 'string' ? task : tableOf(task)['command']
      return typeof command === 'string' ? [[name, command]] : []
    }),
  )
}

/** Parses JSON with comments and trailing commas: without comments it is YAML. */
function parseJsonc(text: string, where: string): Table {
  const strings = /"(?:\\.|[^"\\\n])*"|\/\/[^\n]*|\/\*[^]*?\*\//g
  const bare = text.replace(strings, found => (found.startsWith('"') ? found : found.replace(/[^\n]/g, ' ')))
  return parseYaml(bare.replaceAll('\t', ' '), where)
}

const servesFile = /\bdeno\s+serve\s/

/** The port of `deno serve`, which does not read PORT. */
const serveAddress = 'DENO_SERVE_ADDRESS="${DENO_SERVE_ADDRESS:-tcp:0.0.0.0:$PORT}"'

/** The start command: the task "start", else a file with a usual name, whose modules are in the image. */
export function denoStart({ tasks, entry, exportsHandler, lockFile }: DenoProject): Start | undefined {
  const task = tasks['start']?.trim()
  if (task) {
    const needsPort = servesFile.test(task) && !/\s--(port|host)\b/.test(task)
    return { command: needsPort ? `${serveAddress} deno task start` : 'deno task start', why: 'the task start' }
  }
  if (entry === undefined) return undefined
  const frozen = lockFile === undefined ? '' : ' --frozen'
  const options = `--allow-all --cached-only${frozen}`
  return exportsHandler
    ? { command: `deno serve ${options} --port "$PORT" ${shellQuote(entry)}`, why: `${entry} exports a handler` }
    : { command: `deno run ${options} ${shellQuote(entry)}`, why: `${entry} is there` }
}
