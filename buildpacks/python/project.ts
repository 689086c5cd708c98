import { readdir } from 'node:fs/promises'
import { type App, BuildpackError, firstSetting } from '../sdk/index.ts'
import { startFiles } from './start.ts'

type Env = Readonly<Record<string, string>>

/** Why an application is one for this buildpack, and what it installs. */
export type Project =
  | { readonly kind: 'requirements'; readonly files: readonly string[] }
  /** Nothing to install. */
  | { readonly kind: 'plain'; readonly file: string }
  /** Managed with a tool that we cannot run yet. */
  | { readonly kind: 'unsupported'; readonly file: string; readonly export: string }
  | { readonly kind: 'misspelt'; readonly file: string }

/** Files that tell how packages are managed, and how to make a requirements.txt from them. */
const managers: readonly (readonly [file: string, how: string])[] = [
  ['uv.lock', 'uv export --no-dev --no-emit-project --output-file requirements.txt'],
  ['poetry.lock', 'poetry export --output requirements.txt'],
  ['pdm.lock', 'pdm export --prod --output requirements.txt'],
  ['Pipfile.lock', 'pipenv requirements > requirements.txt'],
  ['Pipfile', 'pipenv requirements > requirements.txt'],
  ['pyproject.toml', 'pip-compile --output-file requirements.txt pyproject.toml'],
  ['setup.py', 'pip-compile --output-file requirements.txt setup.py'],
]

/** undefined if this is no application of Python's. */
export async function findProject(app: App, env: Env): Promise<Project | undefined> {
  const named = firstSetting(env, 'BP_PIP_REQUIREMENT')
  if (named) return { kind: 'requirements', files: named.value.split(/\s+/) }
  if (await app.has('requirements.txt')) return { kind: 'requirements', files: ['requirements.txt'] }
  const misspelt = await findMisspelt(app)
  if (misspelt !== undefined) return { kind: 'misspelt', file: misspelt }
  for (const [file, how] of managers) {
    if ((await app.has(file)) && (await isProject(app, file))) return { kind: 'unsupported', file, export: how }
  }
  const file = await app.firstOf([...startFiles, 'manage.py'])
  return file === undefined ? undefined : { kind: 'plain', file }
}

/** Many repositories have a pyproject.toml with no more than settings for a linter. */
async function isProject(app: App, file: string): Promise<boolean> {
  return file !== 'pyproject.toml' || /^\[(project|tool\.poetry)\]/m.test((await app.read(file)) ?? '')
}

/** `requirement.txt`, `Requirements.txt`, `requirements.text`, `requirments.txt` and the like. */
async function findMisspelt(app: App): Promise<string | undefined> {
  const names = (await readdir(app.path)).toSorted()
  // Without a program in Python, the file may be anything.
  if (!names.some(name => name.endsWith('.py'))) return undefined
  return names.find(name => editDistance(name.toLowerCase(), 'requirements.txt') <= 2)
}

/** How many letters have to be put in, taken out or replaced to make `b` of `a`. */
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

/** @throws BuildpackError for what cannot be built, saying what to do */
export function checkProject(project: Project): void {
  if (project.kind === 'misspelt') {
    throw new BuildpackError('pip does not find the requirements by this name', {
      where: project.file,
      fix: `rename it: git mv ${project.file} requirements.txt`,
    })
  }
  if (project.kind === 'unsupported') {
    throw new BuildpackError('only packages in a requirements.txt can be installed yet', {
      where: project.file,
      fix: `make one from it, and commit it: ${project.export}`,
    })
  }
}
