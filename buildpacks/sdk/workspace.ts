import { readdir } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'
import { App } from './app.ts'
import type { FrontEnd } from './front-end.ts'
import { isNxProject } from './nx-front-end.ts'
import { type PackageManifest, readManifest } from './package-manifest.ts'
import { otherScripts, serverFiles, serverScripts } from './start-files.ts'
import { findWebFramework } from './web-frameworks.ts'

/** The folders of a workspace's packages, by the patterns that package.json or pnpm-workspace.yaml has for them. */
export async function workspaceFolders(root: App, given: readonly string[]): Promise<string[]> {
  const patterns = given.map(pattern => pattern.replace(/^(!?)\.\//, '$1').replace(/\/$/, ''))
  const wanted = patterns.filter(pattern => !pattern.startsWith('!'))
  if (wanted.length === 0) return []
  const refused = patterns.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1))
  const depth = Math.max(...wanted.map(pattern => (pattern.includes('**') ? 8 : pattern.split('/').length)))
  const dirs = await foldersBelow(root, depth)
  return dirs.filter(dir => matchesAny(dir, wanted) && !matchesAny(dir, refused)).toSorted()
}

const matchesAny = (dir: string, patterns: readonly string[]) => patterns.some(pattern => matchesGlob(dir, pattern))

/** Folders in which packages may be. */
export async function foldersBelow(root: App, depth: number, dir = ''): Promise<string[]> {
  if (depth === 0) return []
  const entries = await readdir(root.at(dir), { withFileTypes: true }).catch(() => [])
  const dirs = entries
    .filter(entry => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
    .map(entry => join(dir, entry.name))
  return [...dirs, ...(await Promise.all(dirs.map(inner => foldersBelow(root, depth - 1, inner)))).flat()]
}

/** Scripts and files with which the top of a workspace starts itself. */
const ownStarts = [...serverScripts, ...otherScripts, 'Procfile', 'app.yaml']

/**
 * True if the top of a workspace says that it starts something itself. `index.js` is what `npm init` writes as `main`, whether the file is there or not.
 */
export async function topStarts(root: App): Promise<boolean> {
  const { scripts, main } = await readManifest(root)
  if (isText(scripts['start']) || (isText(main) && main !== 'index.js')) return true
  return (await root.firstOf(ownStarts)) !== undefined
}

/** True if the top may be a server, though nothing starts it yet. */
export async function topMayServe(root: App): Promise<boolean> {
  return (await root.firstOf(serverFiles)) !== undefined || (await root.hasDirectory('src'))
}

/**
 * The folder of the front end that is all that a workspace has to show: the only one, or the only one with a start script, where nothing else
 * starts and nothing is a server.
 */
export async function soleFrontEnd(
  root: App,
  frontEndOf: (app: App) => Promise<FrontEnd | undefined>,
): Promise<string | undefined> {
  const folders = await applicationFolders(root)
  if (folders.length === 0 || (await topStarts(root)) || (await topMayServe(root))) return undefined
  if ((await findWebFramework(root)) !== undefined || (await frontEndOf(root)) !== undefined) return undefined
  const found = await Promise.all(
    folders.map(async dir => {
      const app = new App(root.at(dir))
      const frontEnd = await frontEndOf(app)
      const manifest = await readManifest(app)
      const starts = isText(manifest.scripts['start'])
      if (frontEnd !== undefined && !frontEnd.guessed) return { dir, starts, is: 'front end' } as const
      const isServer = starts || (await mayServe(app, manifest)) || (await isNxProject(app))
      return { dir, starts, is: isServer ? 'server' : 'library' } as const
    }),
  )
  if (found.some(each => each.is === 'server')) return undefined
  const frontEnds = found.filter(each => each.is === 'front end')
  const shown = frontEnds.length === 1 ? frontEnds : frontEnds.filter(({ starts }) => starts)
  return shown.length === 1 ? shown[0]?.dir : undefined
}

/** Packages of servers and of workers, whose applications need no start script to be one. */
const serverPackages =
  /^(express|fastify|koa|@hapi\/hapi|hono|polka|h3|elysia|restify|socket\.io|ws|graphql-yoga|@apollo\/server|@trpc\/server|moleculer|bullmq|bee-queue|agenda|node-cron|discord\.js|telegraf|grammy|probot|wrangler|serverless|firebase-functions|@google-cloud\/functions-framework)$/

/** Scripts that run a program anew with each change. */
const watchers =
  /\b(tsx|nodemon|ts-node-dev|tsnd|ts-node|nest|wrangler)\s|\bnode\s+--watch|\bbun\s+(run\s+)?--(watch|hot)/

/** True if a package may be a server or a worker, though nothing starts it. */
async function mayServe(app: App, { scripts, dependencies, devDependencies }: PackageManifest): Promise<boolean> {
  const names = Object.keys({ ...dependencies, ...devDependencies })
  if (names.some(name => serverPackages.test(name)) || (await app.firstOf(serverFiles)) !== undefined) return true
  if (Object.values(scripts).some(script => isText(script) && watchers.test(script))) return true
  return (await findWebFramework(app)) !== undefined
}

/** The folders of a workspace's packages, and of Nx's applications. */
async function applicationFolders(root: App): Promise<string[]> {
  if (!(await root.has('package.json'))) return []
  const { workspaces } = await readManifest(root)
  const pnpm = pnpmPatterns((await root.read('pnpm-workspace.yaml').catch(() => undefined)) ?? '')
  const folders = new Set(await workspaceFolders(root, [...workspaces, ...pnpm]))
  if (await root.has('nx.json')) {
    const all = await foldersBelow(root, 4)
    const isProject = await Promise.all(all.map(dir => isNxProject(new App(root.at(dir)))))
    for (const [index, dir] of all.entries()) if (isProject[index]) folders.add(dir)
  }
  const isThere = await Promise.all(
    [...folders].map(
      async dir => (await root.firstOf([join(dir, 'package.json'), join(dir, 'project.json')])) !== undefined,
    ),
  )
  return [...folders].filter((_, index) => isThere[index])
}

/** The list `packages` as people and pnpm write it. What else YAML can do is for the buildpack of Node.js. */
function pnpmPatterns(yaml: string): string[] {
  const [, inline, block = ''] =
    /^packages:[ \t]*(?:\[([^\]]*)\])?[ \t]*(?:#.*)?\n?((?:[ \t]*(?:- .*|#.*)?(?:\n|$))*)/m.exec(
      yaml.replaceAll('\r', ''),
    ) ?? []
  const items =
    inline === undefined
      ? Array.from(block.matchAll(/^[ \t]*-[ \t]+(.*)$/gm), ([, item = '']) => item)
      : inline.split(',')
  return items
    .map(item =>
      item
        .replace(/\s#.*$/, '')
        .trim()
        .replace(/^(["'])(.*)\1$/, '$2'),
    )
    .filter(item => item !== '')
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''
