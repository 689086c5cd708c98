import {
  type App,
  BuildpackError,
  firstSetting,
  isForDevelopment,
  type LaunchProcess,
  shellProcess,
  shellQuote,
} from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

/** What starts the application, and who says so. */
export interface Start {
  readonly command: string
  readonly why: string
  /** It is a script of package.json, which may be for developers. */
  readonly isScript?: true
}

/** Scripts that start for production, where `start` is for developers. */
const forProduction = ['start:prod', 'start:production', 'serve:prod']

/** Files that people name the start of an application. */
const usualFiles = ['server.js', 'app.js', 'main.js', 'index.js']

/** The start command, as far as it is known before the build: everything but the files that a build may make. */
export function declaredStart(env: Readonly<Record<string, string>>, { scripts }: PackageJson): Start | undefined {
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  if (command) return { command: command.value, why: command.name }
  const point = firstSetting(env, 'BP_LAUNCHPOINT')
  if (point) return { command: `node ${shellQuote(point.value)}`, why: point.name }
  const script = scripts['start']?.trim()
  if (!script) return undefined
  const forDevelopers = isForDevelopment(script) || /^(nodemon|ts-node-dev|tsnd|node-dev)\s/.test(script)
  const other = forDevelopers ? forProduction.find(name => Boolean(scripts[name]?.trim())) : undefined
  const name = other ?? 'start'
  // npm runs `prestart` first. `poststart` is for servers that end.
  const before = scripts[`pre${name}`]?.trim()
  const start = scripts[name]?.trim() ?? ''
  const why = `package.json scripts.${name}${other === undefined ? '' : ', as scripts.start is for development'}`
  return { command: before ? `${before} && ${start}` : start, why, isScript: true }
}

/** The start file of an application that declares no command: `node server.js` is npm's own default. */
export async function startFile(app: App, { main }: PackageJson): Promise<Start | undefined> {
  const candidates = [
    { name: 'server.js', why: 'server.js is there' },
    ...mainFiles(main).map(name => ({ name, why: 'package.json main' })),
    ...['index.js', ...usualFiles].map(name => ({ name, why: `${name} is there` })),
  ]
  for (const { name, why } of candidates) {
    if (await app.has(name)) return { command: `node ${shellQuote(name)}`, why }
  }
  return undefined
}

/** A script that starts one file anew with each change: `tsx watch --clear-screen=false src/index.ts`. */
const watches =
  /^(?:\w+=\S+\s+)*(?:npx\s+)?(node|tsx|nodemon)\s+(?:watch\s+|--?[\w-]+(?:=\S+)?\s+)*(?:\.\/)?([\w./-]+\.([cm]?[jt]s)x?)$/

/**
 * The file that the script `dev` runs and watches, without the watching, where there is no start script and no file that npm or people name the start:
 * many templates have this script alone.
 */
export async function watchedStart(app: App, json: PackageJson): Promise<Start | undefined> {
  const [, program, file, ending] = watches.exec(json.scripts['dev']?.trim() ?? '') ?? []
  if (file === undefined || !(await app.has(file)) || (await startFile(app, json))) return undefined
  const runsTypeScript = ['tsx', 'ts-node'].find(name => json.packageNames.has(name))
  const runner = program !== 'nodemon' ? program : ending?.endsWith('ts') ? runsTypeScript : 'node'
  return runner === undefined
    ? undefined
    : { command: `${runner} ${file}`, why: 'package.json scripts.dev, without its watching' }
}

/** As Node resolves it: a file, one without its ending, or a directory with an index.js. */
function mainFiles(main: string | undefined): string[] {
  return main === undefined ? [] : [main, `${main}.js`, `${main.replace(/\/$/, '')}/index.js`]
}

export function webProcess({ command }: Start): LaunchProcess {
  return shellProcess('web', command, { default: true })
}

/** The Procfile buildpack brings the start command, if the application has one of these. */
export async function otherStart(app: App, env: Readonly<Record<string, string>>): Promise<string | undefined> {
  const entrypoint = firstSetting(env, 'GOOGLE_ENTRYPOINT')
  return [entrypoint?.value, await app.read('Procfile')].filter(text => text !== undefined).join('\n') || undefined
}

export function noStart({ main }: PackageJson): BuildpackError {
  const files = [...new Set(['server.js', ...mainFiles(main).slice(0, 1), 'index.js', ...usualFiles])]
  return new BuildpackError(
    `nothing says how to start the application: no scripts.start in package.json, and none of ${files.join(', ')}`,
    {
      fix: 'add a script "start" to package.json, or a Procfile with a line "web: COMMAND", or set BP_LAUNCHPOINT to a file',
    },
  )
}
