import { posix } from 'node:path'
import { App, type BuildContext, BuildpackError, findFrontEnd, firstSetting } from '../sdk/index.ts'
import { foldersBelow, topMayServe, topStarts, workspaceFolders } from '../sdk/workspace.ts'
import { isNx, type NxApplication, nxApplications } from './nx.ts'
import { noPackageJson, type PackageJson, readPackageJson } from './package-json.ts'
import { readYaml, textsOf } from './yaml.ts'

/** The application, and the folder from which its packages are installed: the same folder, or the root of its workspace. */
export interface Project {
  /** The folder with the lock file. */
  readonly root: App
  readonly rootJson: PackageJson
  /** The application that is started. */
  readonly app: App
  readonly json: PackageJson
  /** The application's path from the root: `apps/web`; empty for the root itself. */
  readonly dir: string
  readonly isWorkspace: boolean
  /**
   * The packages of the workspace that take part, each after those that it depends on: all packages, or the application in `dir` and
   * the packages that it needs.
   */
  readonly members: readonly Member[]
  /** Folders of the workspace's other packages. */
  readonly others: readonly string[]
  /** The setting or fact that selected the application of a workspace. */
  readonly because: string | undefined
  /** Packages of the workspace that can start, if the root cannot and nothing selects one. */
  readonly candidates: readonly string[]
  /** Packages of the workspace that are front ends without a server. */
  readonly frontEnds: readonly string[]
  /** The application in Nx, if Nx builds it. */
  readonly nx?: NxApplication
}

/** A package of a workspace. */
export interface Member {
  /** The path from the project's root: `packages/ui`. */
  readonly dir: string
  readonly json: PackageJson
}

/**
 * The application that BP_NODE_PROJECT_PATH or GOOGLE_BUILDABLE names, or the one of a workspace that can start.
 * @param site the folder of the only front end, if nothing starts
 */
export async function findProject({ app, env }: Pick<BuildContext, 'app' | 'env'>, site?: string): Promise<Project> {
  const shown =
    site === undefined ? undefined : { dir: site, because: 'it is the front end, and no other package starts' }
  const chosen = (await chosenFolder(app, env)) ?? shown
  const rootJson = (await readPackageJson(app)) ?? noPackageJson
  const all = await workspaceMembers(app, rootJson)
  const applications = (await isNx(app, rootJson)) ? await nxApplications(app, await foldersBelow(app, 4)) : []
  const isMember = (dir: string) => all.some(member => member.dir === dir)
  const isKnown = (dir: string) => isMember(dir) || applications.some(application => application.dir === dir)
  if (chosen !== undefined && !isKnown(chosen.dir)) {
    const own = new App(app.at(chosen.dir))
    return ownProject(own, (await readPackageJson(own)) ?? noPackageJson)
  }
  if (all.length === 0 && applications.length === 0) return ownProject(app, rootJson)
  const found = chosen === undefined ? await startablePackages(app, all, applications) : nothing
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

/** @throws BuildpackError if the setting does not name a folder of the source */
async function chosenFolder(app: App, env: Readonly<Record<string, string>>): Promise<Chosen | undefined> {
  const setting = firstSetting(env, 'BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE')
  if (setting === undefined) return undefined
  const dir = posix.normalize(setting.value).replace(/\/$/, '')
  if (dir === '.') return undefined
  const isInside = !dir.startsWith('/') && dir !== '..' && !dir.startsWith('../')
  if (isInside && (await app.hasDirectory(dir))) return { dir, because: setting.name }
  throw new BuildpackError(`${JSON.stringify(setting.value.slice(0, 200))} is not a folder of the source`, {
    where: setting.name,
    fix: 'give the folder of the application, relative to the root of the source, for example "apps/web"',
  })
}

/** The packages of a workspace: those in the folders that package.json or pnpm-workspace.yaml names. */
async function workspaceMembers(root: App, { workspaces }: PackageJson): Promise<Member[]> {
  const pnpm = textsOf((await readYaml(root, 'pnpm-workspace.yaml'))?.['packages'])
  const folders = await workspaceFolders(root, [...workspaces, ...pnpm])
  const members = folders.map(async dir => ({ dir, json: await readPackageJson(root, `${dir}/package.json`) }))
  return (await Promise.all(members)).filter((member): member is Member => member.json !== undefined)
}

type Startable = Pick<Project, 'candidates' | 'frontEnds'>
const nothing: Startable = { candidates: [], frontEnds: [] }

/** If the root has nothing to start: the packages with a start script, else Nx applications; and the front ends. */
async function startablePackages(
  root: App,
  all: readonly Member[],
  applications: readonly NxApplication[],
): Promise<Startable> {
  const hasStart = ({ scripts }: PackageJson) => Boolean(scripts['start']?.trim())
  if (await topStarts(root)) return nothing
  const isFrontEnd = async ({ dir }: { readonly dir: string }) => {
    const frontEnd = await findFrontEnd(new App(root.at(dir)))
    return frontEnd !== undefined && !frontEnd.guessed
  }
  const dirsOf = async (found: readonly { readonly dir: string }[], are: 'front ends' | 'servers') => {
    const answers = await Promise.all(found.map(isFrontEnd))
    return found.filter((_, n) => answers[n] === (are === 'front ends')).map(({ dir }) => dir)
  }
  const frontEnds = [...new Set(await dirsOf([...all, ...applications], 'front ends'))]
  const packages = await dirsOf(
    all.filter(member => hasStart(member.json)),
    'servers',
  )
  const servers = packages.length > 0 ? packages : await dirsOf(applications, 'servers')
  const shown = all.filter(({ dir, json }) => frontEnds.includes(dir) && hasStart(json)).map(({ dir }) => dir)
  // If no package serves the front end's files, a front end whose script shows its own pages, such as `vite --host --port 8080`, is the
  // only start.
  const candidates = servers.length === 0 && shown.length === 1 ? shown : servers
  return { candidates, frontEnds: (await topMayServe(root)) ? [] : frontEnds }
}

function onlyOne({ candidates, frontEnds }: Startable, applications: readonly NxApplication[]): Chosen | undefined {
  const [dir, ...rest] = candidates
  if (dir === undefined || rest.length > 0) return undefined
  const [frontEnd] = frontEnds.includes(dir) ? [dir] : frontEnds
  const other =
    frontEnd === undefined ? '' : `; BP_NODE_PROJECT_PATH=${frontEnd} serves the files of that front end instead`
  const isNxs = applications.some(application => application.dir === dir)
  const what = isNxs
    ? `${frontEnd === undefined ? 'application' : 'server'} that Nx builds`
    : 'package of the workspace with a start script'
  return { dir, because: `it is the only ${what}${other}` }
}

/** @throws BuildpackError if several packages of a workspace, or only front ends, can start and nothing selects one */
export function checkChoice({ candidates, frontEnds }: Project): void {
  if (candidates.length === 0 && frontEnds.length > 0) {
    throw new BuildpackError(`the workspace has no known server, but these front ends: ${frontEnds.join(', ')}`, {
      where: 'package.json',
      fix: `set BP_NODE_PROJECT_PATH to the one to serve: BP_NODE_PROJECT_PATH=${frontEnds[0]}; a server needs a start script`,
    })
  }
  if (candidates.length < 2) return
  throw new BuildpackError(`the workspace has several applications to start: ${candidates.join(', ')}`, {
    where: 'package.json',
    fix: `set BP_NODE_PROJECT_PATH to the one to start: BP_NODE_PROJECT_PATH=${candidates[0]}`,
  })
}

/** The given packages and the workspace packages that they need, each after those that it depends on. */
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
