import semver from 'semver'
import {
  type App,
  BuildpackError,
  firstSetting,
  isForDevelopment,
  type LaunchProcess,
  shellProcess,
  shellQuote,
} from '../sdk/index.ts'
import { otherScripts, serverScripts, typedStarts } from '../sdk/start-files.ts'
import type { PackageJson } from './package-json.ts'

/** A start command, and the place that declares it. */
export interface Start {
  readonly command: string
  readonly why: string
  /** It is a script of package.json, which may be for developers. */
  readonly isScript?: true
}

/** Scripts that start in production, if `start` is for developers. */
const forProduction = ['start:prod', 'start:production', 'serve:prod']

/** The start command, as far as it is known before the build: without files that a build may write. */
export function declaredStart(env: Readonly<Record<string, string>>, { scripts }: PackageJson): Start | undefined {
  const command = firstSetting(env, 'RAILPACK_START_CMD')
  if (command) return { command: command.value, why: command.name }
  const point = firstSetting(env, 'BP_LAUNCHPOINT')
  if (point) return { command: `node ${shellQuote(point.value)}`, why: point.name }
  const script = (scripts['start'] ?? '').trim()
  // An empty script means that there is nothing to start.
  if (script === '' && scripts['start'] !== undefined) return undefined
  const forDevelopers = isForDevelopment(script) || /^(nodemon|ts-node-dev|tsnd|node-dev)\s/.test(script)
  const other = forDevelopers || script === '' ? forProduction.find(name => Boolean(scripts[name]?.trim())) : undefined
  if (script === '' && other === undefined) return undefined
  const name = other ?? 'start'
  // npm runs `prestart` first. `poststart` is for servers that end.
  const before = scripts[`pre${name}`]?.trim()
  const start = withPort(scripts[name]?.trim() ?? '')
  const why = `package.json scripts.${name}${other === undefined || script === '' ? '' : ', as scripts.start is for development'}`
  return { command: before ? `${before} && ${start}` : start, why, isScript: true }
}

/** Adds the port option to a server that does not read PORT, unless the script has options of its own. */
const withPort = (script: string) => script.replace(/^(npx\s+)?waku start$/, '$& --port "${PORT:-8080}"')

/** The start file of an application that declares no command: `node server.js` is npm's own default. */
export async function startFile(app: App, json: PackageJson): Promise<Start | undefined> {
  const candidates = [
    ...serverScripts.map(name => ({ name, why: `${name} is there` })),
    ...mainFiles(json.main).map(name => ({ name, why: 'package.json main' })),
    ...otherScripts.map(name => ({ name, why: `${name} is there` })),
  ]
  for (const { name, why } of candidates) {
    if (await app.has(name)) return { command: `${runnerOf(name, json)} ${shellQuote(name)}`, why }
  }
  return typedStart(app, json)
}

/** The start file in TypeScript: the build's output for it, else the file itself. */
async function typedStart(app: App, json: PackageJson): Promise<Start | undefined> {
  const file = await app.firstOf(typedStarts)
  if (file === undefined) return undefined
  const [, name = '', kind = ''] = /^(\w+)\.(\w?)ts$/.exec(file) ?? []
  const compiled = await app.firstOf(['dist', 'build', 'out'].map(dir => `${dir}/${name}.${kind}js`))
  if (compiled !== undefined) return { command: `node ${compiled}`, why: `the build made it of ${file}` }
  return { command: `${runnerOf(file, json)} ${file}`, why: `${file} is there` }
}

/** The program that runs a file: for TypeScript the application's own tool, else Node. */
function runnerOf(file: string, { packageNames }: PackageJson): string {
  if (!/\.[cm]?ts$/.test(file)) return 'node'
  return ['tsx', 'ts-node'].find(name => packageNames.has(name)) ?? 'node'
}

/** @throws BuildpackError if the start file is TypeScript and this Node does not run it */
export function checkTypes({ command, isScript }: Start, version: string): void {
  const file = /^node '?(\w\S*\.[cm]?ts)'?$/.exec(command)?.[1]
  if (isScript || file === undefined || semver.satisfies(version, '^22.18.0 || >=23.6.0')) return
  throw new BuildpackError(`Node ${version} does not run TypeScript, and the application starts with ${file}`, {
    fix: 'request Node 22.18 or newer, add "tsx" to the dependencies, or add scripts "build" and "start" to package.json',
  })
}

/** A script that restarts one file with each change: `tsx watch --clear-screen=false src/index.ts`. */
const watches =
  /^(?:\w+=\S+\s+)*(?:npx\s+)?(node|tsx|nodemon)\s+(?:watch\s+|--?[\w-]+(?:=\S+)?\s+)*(?:\.\/)?([\w./-]+\.([cm]?[jt]s)x?)$/

/**
 * The start of an application that is not built and declares none: a script with a usual name; else the file that the script `dev` runs
 * and watches, as many templates have only this script; else a TypeScript file with a usual name.
 */
export async function sourceStart(app: App, json: PackageJson): Promise<Start | undefined> {
  const found = await startFile(app, json)
  const isTyped = found === undefined || /\.[cm]?ts'?$/.test(found.command)
  return (isTyped && found?.why !== 'package.json main' ? await watchedStart(app, json) : undefined) ?? found
}

/** The file that the script `dev` runs and watches, started without the watching. */
async function watchedStart(app: App, json: PackageJson): Promise<Start | undefined> {
  const [, program, file, ending] = watches.exec(json.scripts['dev']?.trim() ?? '') ?? []
  if (file === undefined || !(await app.has(file))) return undefined
  const runsTypeScript = ['tsx', 'ts-node'].find(name => json.packageNames.has(name))
  const runner = program !== 'nodemon' ? program : ending?.endsWith('ts') ? runsTypeScript : 'node'
  return runner === undefined
    ? undefined
    : { command: `${runner} ${file}`, why: 'package.json scripts.dev, without watch mode' }
}

/** The files that Node tries for `main`: the file, the name with an extension, or a directory's index.js. */
function mainFiles(main: string | undefined): string[] {
  return main === undefined ? [] : [main, `${main}.js`, `${main.replace(/\/$/, '')}/index.js`]
}

export function webProcess({ command }: Start): LaunchProcess {
  return shellProcess('web', command, { default: true })
}

/** The start command of the Procfile buildpack, if the application declares one. */
export async function otherStart(app: App, env: Readonly<Record<string, string>>): Promise<string | undefined> {
  const entrypoint = firstSetting(env, 'GOOGLE_ENTRYPOINT')
  return [entrypoint?.value, await app.read('Procfile')].filter(text => text !== undefined).join('\n') || undefined
}

/** Files that are likely the start, although nothing declares them. */
const likelyFiles = ['server', 'index', 'app', 'main'].flatMap(name =>
  ['js', 'mjs', 'cjs', 'ts', 'mts'].map(ending => `src/${name}.${ending}`),
)

export async function noStart(app: App, json: PackageJson): Promise<BuildpackError> {
  const { main, commands } = json
  const usual = ['server.js', 'index.js', 'app.js', 'main.js']
  const files = [...new Set(['server.js', ...mainFiles(main).slice(0, 1), ...usual])]
  const likely = await app.firstOf([...likelyFiles, ...commands.map(file => file.replace(/^\.\//, ''))])
  const example = likely === undefined ? '' : `, such as "start": "${runnerOf(likely, json)} ${likely}"`
  return new BuildpackError(
    `no start command found: no scripts.start in package.json, and none of ${files.join(', ')}, nor one that ends with .mjs, .cjs or .ts instead`,
    {
      fix: `add a script "start" to package.json${example}, or a Procfile with a line "web: COMMAND", or set BP_LAUNCHPOINT to a file`,
    },
  )
}
