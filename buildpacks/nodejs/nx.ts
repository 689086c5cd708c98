import { dirname, join, posix, relative } from 'node:path'
import { type App, shellQuote } from '../sdk/index.ts'
import { inferredFrom } from '../sdk/nx-front-end.ts'
import { type Table, tableOf } from '../sdk/tables.ts'
import type { PackageJson } from './package-json.ts'
import type { Start } from './start.ts'
import { parseYaml } from './yaml.ts'

/** An application of an Nx repository: a folder with a project.json, a package.json, or both. */
export interface NxApplication {
  readonly dir: string
  /** The name of the project in Nx. */
  readonly name: string
  /** Folders in which its build may write the program, relative to the root of the repository, the likeliest first. */
  readonly outputs: readonly string[]
}

/** Variables that keep Nx from asking questions, from sending data and from keeping processes. */
export const nxVariables = {
  NX_DAEMON: 'false',
  NX_TUI: 'false',
  NX_NO_CLOUD: 'true',
  NX_INTERACTIVE: 'false',
} as const

export async function isNx(root: App, { dependencies }: PackageJson): Promise<boolean> {
  const tools = { ...dependencies.dependencies, ...dependencies.devDependencies }
  return tools['nx'] !== undefined && (await root.has('nx.json'))
}

/** The applications among some folders: projects that can be built and are neither libraries nor tests. */
export async function nxApplications(root: App, dirs: readonly string[]): Promise<NxApplication[]> {
  const found = await Promise.all(dirs.map(dir => readApplication(root, dir)))
  return found.filter(application => application !== undefined)
}

async function readApplication(root: App, dir: string): Promise<NxApplication | undefined> {
  const project = await readTable(root, join(dir, 'project.json'))
  const manifest = await readTable(root, join(dir, 'package.json'))
  if (project === undefined && manifest === undefined) return undefined
  const inManifest = tableOf(manifest?.['nx'])
  const own = { ...inManifest, ...project }
  const targets = { ...tableOf(inManifest['targets']), ...tableOf(project?.['targets']) }
  const name = [own['name'], manifest?.['name']].find(value => typeof value === 'string' && value !== '') as
    string | undefined
  if (name === undefined || /-e2e$/.test(dir)) return undefined
  const builds = targets['build'] !== undefined || (await root.firstOf(inferredFrom.map(file => join(dir, file))))
  const isApplication =
    own['projectType'] === 'application' ||
    (own['projectType'] === undefined && (await root.has(join(dir, 'tsconfig.app.json'))))
  if (!builds || !isApplication) return undefined
  const { outputPath } = tableOf(tableOf(targets['build'])['options'])
  const named = typeof outputPath === 'string' ? [resolveTokens(outputPath, dir)] : []
  return { dir, name, outputs: [...named, `dist/${dir}`, `${dir}/dist`] }
}

/** Resolves Nx's tokens, such as `{projectRoot}/dist`. Folders outside of the repository are ignored. */
function resolveTokens(path: string, dir: string): string {
  const resolved = posix.normalize(path.replace('{workspaceRoot}', '.').replace('{projectRoot}', dir))
  return resolved.startsWith('..') || resolved.startsWith('/') ? dir : resolved
}

/** Servers that builds write to their output: the application's own, then Angular's, Nitro's (Nuxt, Analog) and React Router's. */
const programs = ['main', 'index', 'server']
  .flatMap(name => ['js', 'cjs', 'mjs'].map(ending => `${name}.${ending}`))
  .concat(['server/server.mjs', '.output/server/index.mjs', 'analog/server/index.mjs', 'server/index.mjs'])

/** The start of the server that the build wrote, in the application's folder. */
export async function nxStart(root: App, { dir, outputs }: NxApplication): Promise<Start | undefined> {
  const from = (path: string) => shellQuote(relative(dir, path) || '.')
  const program = await root.firstOf(outputs.flatMap(output => programs.map(name => join(output, name))))
  if (program !== undefined) return { command: `node ${from(program)}`, why: `Nx built ${program}` }
  // Some tools build in the application's own folder.
  const made = ['.next/BUILD_ID', '.output/server/index.mjs']
  const file = await root.firstOf([dir, ...outputs].flatMap(output => made.map(name => join(output, name))))
  if (file === undefined) return undefined
  const command = file.endsWith('BUILD_ID') ? `next start ${from(dirname(dirname(file)))}` : `node ${from(file)}`
  return { command: command.replace(/ \.$/, ''), why: `Nx built ${dirname(file)}` }
}

async function readTable(root: App, file: string): Promise<Table | undefined> {
  const text = await root.read(file)
  return text === undefined ? undefined : parseYaml(text, file)
}
