import { readdir } from 'node:fs/promises'
import { join, matchesGlob, posix } from 'node:path'
import { App, type BuildContext, BuildpackError, findFrontEnd, firstSetting } from '../sdk/index.ts'
import { isNx, type NxApplication, nxApplications } from './nx.ts'
import { noPackageJson, type PackageJson, readPackageJson } from './package-json.ts'
import { readYaml, textsOf } from './yaml.ts'

/** The application, and the folder from which its packages are installed: the same, or the top of the workspace that it belongs to. */
export interface Project {
  /** Where the lock file is. */
  readonly root: App
  readonly rootJson: PackageJson
  /** What is started. */
  readonly app: App
  readonly json: PackageJson
  /** The application's path from the root: `apps/web`; empty for the root itself. */
  readonly dir: string
  readonly isWorkspace: boolean
  /**
   * The packages of the workspace that take part, each after those that it depends on: all, or those that the application in `dir`
   * needs and itself.
   */
  readonly members: readonly Member[]
  /** Folders of the other packages of the workspace. */
  readonly others: readonly string[]
  /** Who chose the application of a workspace. */
  readonly because: string | undefined
  /** Packages of the workspace that can be started, where the root cannot and nothing says which. */
  readonly candidates: readonly string[]
  /** Packages of the workspace that are front ends, of files alone. */
  readonly frontEnds: readonly string[]
  /** The application as Nx knows it, where Nx builds it. */
  readonly nx?: NxApplication
}

/** A package of a workspace. */
export interface Member {
  /** From the project's root: `packages/ui`. */
  readonly dir: string
  readonly json: PackageJson
}

/** The application that BP_NODE_PROJECT_PATH or GOOGLE_BUILDABLE names, or the one of a workspace that can be started. */
export async function findProject({ app, env }: Pick<BuildContext, 'app' | 'env'>): Promise<Project> {
  const chosen = await chosenFolder(app, env)
  const rootJson = (await readPackageJson(app)) ?? noPackageJson
  const all = await workspaceMembers(app, rootJson)
  const applications = (await isNx(app, rootJson)) ? await nxApplications(app, await foldersBelow(app, '', 4)) : []
  const isMember = (dir: string) => all.some(member => member.dir === dir)
  const isKnown = (dir: string) => isMember(dir) || applications.some(application => application.dir === dir)
  if (chosen !== undefined && !isKnown(chosen.dir)) {
    const own = new App(app.at(chosen.dir))
    return ownProject(own, (await readPackageJson(own)) ?? noPackageJson)
  }
  if (all.length === 0 && applications.length === 0) return ownProject(app, rootJson)
  const found = chosen === undefined ? await startablePackages(app, rootJson, all, applications) : nothing
  const { candidates, frontEnds } = found
  const startable = chosen ?? onlyOne(found, applications)
  const workspace = { root: app, rootJson, isWorkspace: all.length > 0 }
  if (startable === undefined) {
    const own = { app, json: rootJson, dir: '', because: undefined }
    return { ...workspace, ...own, members: inOrder(all, all), others: [], candidates, frontEnds }
  }
  const { dir, because } = startable
  const nx = applications.find(application => application.dir === dir)
  const own = { app: new App(app.at(dir)), dir, because, ...nothing, ...(nx && { nx }) }
  // Its packages are those of the whole repository.
  if (!isMember(dir)) return { ...workspace, ...own, json: noPackageJson, isWorkspace: false, members: [], others: [] }
  const json = all.find(member => member.dir === dir)?.json ?? noPackageJson
  const members = inOrder(all, [{ dir, json }])
  const others = all.filter(member => !members.some(needed => needed.dir === member.dir)).map(member => member.dir)
  return { ...workspace, ...own, json, members, others }
}

function ownProject(app: App, json: PackageJson): Project {
  return {
    root: app,
    rootJson: json,
    app,
    json,
    dir: '',
    isWorkspace: false,
    members: [],
    others: [],
    because: undefined,
    ...nothing,
  }
}

interface Chosen {
  readonly dir: string
  readonly because: string
}

/** @throws BuildpackError if the setting names no folder of the source */
async function chosenFolder(app: App, env: Readonly<Record<string, string>>): Promise<Chosen | undefined> {
  const setting = firstSetting(env, 'BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE')
  if (setting === undefined) return undefined
  const dir = posix.normalize(setting.value).replace(/\/$/, '')
  if (dir === '.') return undefined
  const isInside = !dir.startsWith('/') && dir !== '..' && !dir.startsWith('../')
  if (isInside && (await app.hasDirectory(dir))) return { dir, because: setting.name }
  throw new BuildpackError(`${JSON.stringify(setting.value.slice(0, 200))} is no folder of the source`, {
    where: setting.name,
    fix: 'name the folder of the application from the top of the source, for example "apps/web"',
  })
}

/** The packages of a workspace: those in the folders that package.json or pnpm-workspace.yaml names. */
async function workspaceMembers(root: App, { workspaces }: PackageJson): Promise<Member[]> {
  const pnpm = textsOf((await readYaml(root, 'pnpm-workspace.yaml'))?.['packages'])
  const patterns = [...workspaces, ...pnpm].map(pattern => pattern.replace(/^(!?)\.\//, '$1').replace(/\/$/, ''))
  const wanted = patterns.filter(pattern => !pattern.startsWith('!'))
  if (wanted.length === 0) return []
  const refused = patterns.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1))
  const depth = Math.max(...wanted.map(pattern => (pattern.includes('**') ? 8 : pattern.split('/').length)))
  const dirs = await foldersBelow(root, '', depth)
  const chosen = dirs.filter(dir => matchesAny(dir, wanted) && !matchesAny(dir, refused)).toSorted()
  const members = chosen.map(async dir => ({ dir, json: await readPackageJson(root, `${dir}/package.json`) }))
  return (await Promise.all(members)).filter((member): member is Member => member.json !== undefined)
}

const matchesAny = (dir: string, patterns: readonly string[]) => patterns.some(pattern => matchesGlob(dir, pattern))

async function foldersBelow(root: App, dir: string, depth: number): Promise<string[]> {
  if (depth === 0) return []
  const entries = await readdir(root.at(dir), { withFileTypes: true }).catch(() => [])
  const dirs = entries
    .filter(entry => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
    .map(entry => join(dir, entry.name))
  return [...dirs, ...(await Promise.all(dirs.map(inner => foldersBelow(root, inner, depth - 1)))).flat()]
}

type Startable = Pick<Project, 'candidates' | 'frontEnds'>
const nothing: Startable = { candidates: [], frontEnds: [] }

/** Where the root has nothing to start, the packages that have: those with a start script, else Nx's applications; and the front ends. */
async function startablePackages(
  root: App,
  json: PackageJson,
  all: readonly Member[],
  applications: readonly NxApplication[],
): Promise<Startable> {
  const hasStart = ({ scripts }: PackageJson) => Boolean(scripts['start']?.trim())
  if (hasStart(json) || json.main !== undefined) return nothing
  if (await root.firstOf(['server.js', 'index.js', 'app.js', 'main.js', 'Procfile', 'app.yaml'])) return nothing
  const isFrontEnd = await Promise.all(
    all.map(async ({ dir }) => {
      const frontEnd = await findFrontEnd(new App(root.at(dir)))
      return frontEnd !== undefined && !frontEnd.guessed
    }),
  )
  const frontEnds = all.filter((_, n) => isFrontEnd[n])
  const packages = all.filter(member => hasStart(member.json) && !frontEnds.includes(member))
  const shown = frontEnds.filter(member => hasStart(member.json))
  const servers = packages.length > 0 ? packages : applications
  // One that shows itself, as `vite --host --port 8080` does, is all that there is to start.
  const candidates = servers.length === 0 && shown.length === 1 ? shown : servers
  const dirsOf = (found: readonly { readonly dir: string }[]) => found.map(({ dir }) => dir)
  // With these the top may be a server, though nothing starts it yet.
  const mayHaveServer =
    (await root.firstOf(['server.mjs', 'server.cjs', 'server.ts'])) !== undefined || (await root.hasDirectory('src'))
  return { candidates: dirsOf(candidates), frontEnds: mayHaveServer ? [] : dirsOf(frontEnds) }
}

function onlyOne({ candidates, frontEnds }: Startable, applications: readonly NxApplication[]): Chosen | undefined {
  const [dir, ...rest] = candidates
  if (dir === undefined || rest.length > 0) return undefined
  if (applications.some(application => application.dir === dir))
    return { dir, because: 'it is the only application that Nx builds' }
  const better = frontEnds.includes(dir) ? `; BP_NODE_PROJECT_PATH=${dir} serves its files without it` : ''
  return { dir, because: `it is the only package of the workspace with a start script${better}` }
}

/** @throws BuildpackError if several packages of a workspace can be started, and nothing says which, or front ends alone */
export function checkChoice({ candidates, frontEnds }: Project): void {
  if (candidates.length === 0 && frontEnds.length > 0) {
    throw new BuildpackError(`the workspace has no server, and these front ends: ${frontEnds.join(', ')}`, {
      where: 'package.json',
      fix: `set BP_NODE_PROJECT_PATH to the one to serve: BP_NODE_PROJECT_PATH=${frontEnds[0]}`,
    })
  }
  if (candidates.length < 2) return
  throw new BuildpackError(`the workspace has several applications to start: ${candidates.join(', ')}`, {
    where: 'package.json',
    fix: `set BP_NODE_PROJECT_PATH to the one to start: BP_NODE_PROJECT_PATH=${candidates[0]}`,
  })
}

/** What some packages need of the workspace, and themselves: each after those that it depends on. */
function inOrder(all: readonly Member[], wanted: readonly Member[]): Member[] {
  const byName = new Map(all.map(member => [member.json.name, member]))
  const ordered = new Set<string>()
  const visit = (member: Member, path: readonly string[]): void => {
    if (ordered.has(member.dir) || path.includes(member.dir)) return
    const { dependencies, devDependencies, optionalDependencies } = member.json.dependencies
    for (const name of Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      const needed = byName.get(name)
      if (needed !== undefined) visit(needed, [...path, member.dir])
    }
    ordered.add(member.dir)
  }
  for (const member of wanted) visit(member, [])
  return [...ordered].flatMap(dir => all.filter(member => member.dir === dir))
}
