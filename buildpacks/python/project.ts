import { readdir } from 'node:fs/promises'
import { type App, BuildpackError, firstSetting } from '../sdk/index.ts'
import { requirementsFiles } from '../sdk/languages.ts'
import { startFiles } from '../sdk/python-starts.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type Table, tableOf } from '../sdk/tables.ts'

type Env = Readonly<Record<string, string>>

/** The tools that install from their own lock files. */
export type LockTool = 'uv' | 'poetry' | 'pdm' | 'pipenv'

/** Why an application belongs to this buildpack, and what it installs. */
export type Project =
  | { readonly kind: 'requirements'; readonly files: readonly string[] }
  | { readonly kind: 'locked'; readonly tool: LockTool; readonly file: string }
  /** A project that pip builds and installs. */
  | { readonly kind: 'package'; readonly file: 'pyproject.toml' | 'setup.py' }
  /** Nothing to install. */
  | { readonly kind: 'plain'; readonly file: string }
  /** Managed with a tool whose packages do not come from a Python index. */
  | { readonly kind: 'conda'; readonly file: string }
  | { readonly kind: 'misspelt'; readonly file: string }

const lockFiles: readonly (readonly [file: string, tool: LockTool])[] = [
  ['uv.lock', 'uv'],
  ['poetry.lock', 'poetry'],
  ['pdm.lock', 'pdm'],
  ['Pipfile.lock', 'pipenv'],
  ['Pipfile', 'pipenv'],
]
const condaFiles = ['environment.yml', 'environment.yaml', 'conda-lock.yml', 'pixi.lock', 'pixi.toml']

/** undefined if this is not a Python application. */
export async function findProject(app: App, env: Env): Promise<Project | undefined> {
  const named = firstSetting(env, 'BP_PIP_REQUIREMENT')
  if (named) return { kind: 'requirements', files: named.value.split(/\s+/) }
  if (await app.has('requirements.txt')) return { kind: 'requirements', files: ['requirements.txt'] }
  for (const [file, tool] of lockFiles) if (await app.has(file)) return { kind: 'locked', tool, file }
  const pyproject = (await app.read('pyproject.toml')) ?? ''
  const tool = owningTool(pyproject)
  if (tool !== undefined) return { kind: 'locked', tool, file: 'pyproject.toml' }
  if (pixiPackages.test(pyproject)) return { kind: 'conda', file: 'pyproject.toml' }
  // Many repositories have a pyproject.toml that contains only settings of a linter.
  if (/^\[project\]/m.test(pyproject)) return { kind: 'package', file: 'pyproject.toml' }
  if (await app.has('setup.py')) return { kind: 'package', file: 'setup.py' }
  const listed = await app.firstOf(requirementsFiles)
  if (listed !== undefined) return { kind: 'requirements', files: [listed] }
  if (await isOlderPackage(app, pyproject)) return { kind: 'package', file: 'pyproject.toml' }
  const misspelt = await findMisspelt(app)
  if (misspelt !== undefined) return { kind: 'misspelt', file: misspelt }
  const conda = await app.firstOf(condaFiles)
  if (conda !== undefined) return { kind: 'conda', file: conda }
  const file = await app.firstOf([...startFiles, 'manage.py'])
  return file === undefined ? undefined : { kind: 'plain', file }
}

/**
 * A package that pip builds, and that has its requirements or modules in setup.cfg or in Flit's table, from before `[project]`. Metadata
 * alone would install nothing.
 */
async function isOlderPackage(app: App, pyproject: string): Promise<boolean> {
  const document = parsed(pyproject)
  if (document['build-system'] === undefined) return false
  if (tableOf(tableOf(document['tool'])['flit'])['metadata'] !== undefined) return true
  const sections = ((await app.read('setup.cfg')) ?? '').split(/^\[/m)
  const options = sections.find(section => section.startsWith('options]')) ?? ''
  return /^(?:install[_-]requires|packages|py[_-]modules)\s*[=:]/m.test(options)
}

/**
 * The tool whose tables say where packages come from, so only it may install them: for a package of the workspace or of a private
 * index, pip would take a stranger's package from the public index (K22).
 */
function owningTool(pyproject: string): LockTool | undefined {
  if (/^\[tool\.poetry\]/m.test(pyproject) && !/^\[project\]/m.test(pyproject)) return 'poetry'
  const document = parsed(pyproject)
  if (document['project'] === undefined) return undefined
  const tools = tableOf(document['tool'])
  const says = (tool: LockTool, key: string): boolean => tableOf(tools[tool])[key] !== undefined
  if (says('poetry', 'source') || says('poetry', 'dependencies')) return 'poetry'
  if (says('pdm', 'source') || says('pdm', 'resolution')) return 'pdm'
  return Object.keys(tableOf(tools['uv'])).some(key => !ofUvAlone.includes(key)) ? 'uv' : undefined
}

/** Keys of `[tool.uv]` that do not affect the packages of an image. */
const ofUvAlone = ['build-backend', 'default-groups', 'dev-dependencies', 'managed', 'required-version']

/** Empty for an invalid file: the installer reports it. */
function parsed(pyproject: string): Table {
  try {
    return parseToml(pyproject, 'pyproject.toml')
  } catch {
    return {}
  }
}

/** pixi may also have its packages in a pyproject.toml, beside those that pip would find. */
const pixiPackages = /^\[tool\.pixi\.(?:[\w.-]+\.)?(?:pypi-)?dependencies\]/m

/** Finds `requirement.txt`, `Requirements.txt`, `requirements.text`, `requirments.txt` and similar names. */
async function findMisspelt(app: App): Promise<string | undefined> {
  const names = (await readdir(app.path)).toSorted()
  // Without a Python program, the file may be anything.
  if (!names.some(name => name.endsWith('.py'))) return undefined
  return names.find(name => editDistance(name.toLowerCase(), 'requirements.txt') <= 2)
}

/** How many letters have to be inserted, deleted or replaced to turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** Files of tools that do not install here; undefined if there are none. */
export async function otherTools(app: App, project: Project): Promise<string | undefined> {
  const installed = project.kind === 'locked' ? project.tool : undefined
  const others: string[] = []
  for (const [file, tool] of lockFiles) {
    if (file.includes('.lock') && tool !== installed && (await app.has(file))) others.push(file)
  }
  const own = project.kind === 'requirements' ? project.files.join(', ') : 'file' in project ? project.file : ''
  // Tools write a requirements.txt from their lock file.
  if (others.length < (project.kind === 'requirements' ? 2 : 1)) return undefined
  return `${[own, ...others].join(', ')} belong to different tools: the packages of ${own} are installed`
}

/** @throws BuildpackError with a fix for a project that cannot be built */
export function checkProject(project: Project): void {
  if (project.kind === 'misspelt') {
    throw new BuildpackError('pip does not read requirements under this name', {
      where: project.file,
      fix: `rename it: git mv ${project.file} requirements.txt`,
    })
  }
  if (project.kind === 'conda') {
    const tool = project.file.startsWith('pixi') || project.file === 'pyproject.toml' ? 'pixi' : 'conda'
    throw new BuildpackError(
      `${tool} installs programs other than Python packages from its own archive, which Bale does not read`,
      { where: project.file, fix: 'list the packages that are on PyPI in a requirements.txt' },
    )
  }
}
