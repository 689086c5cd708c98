import { readdir } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'
import { App } from './app.ts'
import type { FrontEnd } from './front-end-tools.ts'
import { isNxProject } from './nx-front-end.ts'
import { readManifest } from './package-manifest.ts'
import { otherScripts, serverFiles, serverScripts } from './start-files.ts'
import { findWebFramework } from './web-frameworks.ts'
import { hasServer, isLibrary, type Member, neededBy } from './workspace-library.ts'

/** The folders of a workspace's packages, by the patterns in package.json or pnpm-workspace.yaml. */
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

/** Scripts and files that start the root of a workspace itself. */
const ownStarts = [...serverScripts, ...otherScripts, 'Procfile', 'app.yaml']

/** True if the root of a workspace declares a start of its own. `npm init` writes `index.js` as `main`, even if the file does not exist. */
export async function topStarts(root: App): Promise<boolean> {
  const { scripts, main } = await readManifest(root)
  if (isText(scripts['start']) || (isText(main) && main !== 'index.js')) return true
  return (await root.firstOf(ownStarts)) !== undefined
}

/** True if the root may be a server, though nothing starts it yet. */
export async function topMayServe(root: App): Promise<boolean> {
  return (await root.firstOf(serverFiles)) !== undefined || (await root.hasDirectory('src'))
}

/**
 * The folder of the front end that is the workspace's only application: the only front end, or the only one with a start script, if
 * everything else is known to be a library. An unknown package may be the front end's server, and nginx would serve the front end
 * without it.
 */
export async function soleFrontEnd(
  root: App,
  frontEndOf: (app: App) => Promise<FrontEnd | undefined>,
): Promise<string | undefined> {
  const folders = await applicationFolders(root)
  if (folders.length === 0 || (await topStarts(root)) || (await topMayServe(root))) return undefined
  if ((await findWebFramework(root)) !== undefined || (await frontEndOf(root)) !== undefined) return undefined
  const top = await readManifest(root)
  if (Object.entries(top.scripts).some(([name, script]) => startNames.test(name) && runtimes.test(String(script))))
    return undefined
  const memberOf = async (dir: string) => {
    const app = new App(root.at(dir))
    return { dir, app, manifest: await readManifest(app) }
  }
  const isFrontEnd = async ({ app }: Member) => {
    const frontEnd = await frontEndOf(app)
    return frontEnd !== undefined && !frontEnd.guessed
  }
  const members = await Promise.all(folders.map(memberOf))
  const answers = await Promise.all(members.map(isFrontEnd))
  const frontEnds = members.filter((_, n) => answers[n])
  const shown =
    frontEnds.length === 1 ? frontEnds : frontEnds.filter(({ manifest }) => isText(manifest.scripts['start']))
  const [only, ...more] = shown
  if (only === undefined || more.length > 0) return undefined

  const others = members.filter((_, n) => !answers[n])
  const names = neededBy([top, ...frontEnds.map(({ manifest }) => manifest)], members)
  const isNeeded = ({ manifest }: Member) => typeof manifest.name === 'string' && names.has(manifest.name)
  for (const other of others) if (!(await isLibrary(other, isNeeded(other)))) return undefined
  const known = [...frontEnds, ...others.filter(isNeeded)].map(({ dir }) => dir)
  const isKnown = (dir: string) => known.some(each => dir === each || dir.startsWith(`${each}/`))
  for (const dir of await foldersBelow(root, 4)) {
    if (isKnown(dir) || asides.test(dir)) continue
    if (await isOfAnotherLanguage(root, dir)) return undefined
    if (folders.includes(dir) || !(await root.has(join(dir, 'package.json')))) continue
    // Not a package of the workspace, so the front end cannot import it.
    const member = await memberOf(dir)
    if ((await hasServer(member)) && !(await isFrontEnd(member))) return undefined
  }
  return only.dir
}

/** Scripts of the root that users run to start something. */
const startNames = /^(start|serve|server|prod|production|worker|api|backend)([:._-]|$)/
const runtimes = /\b(node|bun|deno|tsx|ts-node|pm2)\s/

/** Folders that are not deployed, whatever they contain. */
const asides = /(^|\/)(e2e|tests?|__tests__|fixtures|__fixtures__|examples?|templates?)(\/|$)/

/** Files that identify an application in another language. */
const otherLanguages =
  /^(go\.mod|main\.go|requirements\.txt|pyproject\.toml|Pipfile|setup\.py|(manage|main|app|wsgi|asgi)\.py|Cargo\.toml|Gemfile|config\.ru|composer\.json|index\.php|pom\.xml|build\.gradle(\.kts)?|build\.sbt|deps\.edn|project\.clj|mix\.exs|deno\.jsonc?|Package\.swift|.*\.(cs|fs|vb)proj|Procfile)$/

async function isOfAnotherLanguage(root: App, dir: string): Promise<boolean> {
  const names = await readdir(root.at(dir)).catch(() => [])
  return names.some(name => otherLanguages.test(name))
}

/** The folders of a workspace's packages and of Nx applications. */
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

/** The list `packages` in the usual form, which pnpm also writes. The Node.js buildpack handles other YAML. */
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
