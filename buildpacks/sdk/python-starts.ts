import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { App } from './app.ts'
import { firstSetting } from './platform.ts'
import { findObject } from './python-objects.ts'
import { tableOf } from './tables.ts'

/** Whether anything could start as a Python application, as far as the source shows before packages are installed. */
export async function mayStart(app: App, env: Readonly<Record<string, string>>): Promise<boolean> {
  if (firstSetting(env, 'GOOGLE_FUNCTION_TARGET')) return true
  if ((await app.firstOf([...(await candidateFiles(app)), ...celeryFiles, 'manage.py'])) !== undefined) return true
  const scripts = await readScripts(app)
  if (scripts?.named !== undefined || scripts?.only !== undefined) return true
  if ((await mainPackage(app)) !== undefined || (await packageModules(app)).length > 0) return true
  return /^\s*voila\b/im.test((await app.read('requirements.txt')) ?? '') && (await notebooks(app)).length > 0
}

const names = [
  'main.py',
  'app.py',
  'wsgi.py',
  'asgi.py',
  'server.py',
  'application.py',
  'run.py',
  'streamlit_app.py',
  'bot.py',
  'worker.py',
]
/** Usual start files, by precedence. */
export const startFiles: readonly string[] = [...names, ...names.map(name => `src/${name}`)]
/** Files of a package that hold an object for a server, but nothing to run. */
export const packageFiles: readonly string[] = [
  'app/main.py',
  'app/__init__.py',
  'src/app/main.py',
  'src/app/__init__.py',
]

/** Usual files of Celery applications. */
export const celeryFiles: readonly string[] = ['celery_app.py', 'tasks.py']

/** Files that tools run and that are not served. */
const toolFiles =
  /^(setup|conf|conftest|noxfile|fabfile|hubconf|manage|celeryconfig|gunicorn_conf|gunicorn_config|locustfile|rxconfig|config|settings|test_\w+|\w+_test)\.py$/
/** Files that stand in for the application or something else. If there is nothing else, a demo is the application. */
const standIns = /^(?:(?:dev|demo|fake|mock)s?(?:_\w+)?|\w+_(?:dev|demo|fake|mock)s?)\.py$/

/**
 * The only Python file, or the only one that the other files do not import: it is the application, whatever its name. undefined beside
 * a file with the usual name of a program, even if its content is not understood.
 */
export async function onlyFile(app: App): Promise<string | undefined> {
  const mkdocs = await app.firstOf(['mkdocs.yml', 'mkdocs.yaml'])
  // Hooks of MkDocs may have any name.
  const named = mkdocs === undefined ? [] : ((await app.read(mkdocs)) ?? '').split(/[^\w.]+/)
  const isOwn = (name: string) => /^[A-Za-z_]\w*\.py$/.test(name) && !toolFiles.test(name) && !named.includes(name)
  if ((await app.firstOf(startFiles)) !== undefined) return undefined
  const own = (await readdir(app.path)).filter(isOwn)
  const real = own.filter(name => !standIns.test(name))
  const files = real.length > 0 ? real : own
  if (files.length > 1 && (await hasPackageFile(app))) return undefined
  return files.length > 1 ? onlyProgram(app, files) : files[0]
}

/** Whether a package has a file that is likely the program. An empty `__init__.py` is not. */
async function hasPackageFile(app: App): Promise<boolean> {
  for (const file of packageFiles) if (((await app.read(file)) ?? '').trim() !== '') return true
  return false
}

const mostFiles = 50
/** Frameworks whose files are served even if they create no object. */
const servedFrameworks =
  /^\s*(?:import|from)\s+(?:streamlit|gradio|chainlit|marimo|shiny|solara|panel|nicegui|robyn|mesop)\b|\brun_app\(/m

/** The only program among neighbouring files that no other file imports, else the only one of them that is served. */
async function onlyProgram(app: App, files: readonly string[]): Promise<string | undefined> {
  if (files.length > mostFiles) return undefined
  const sources = new Map<string, string>()
  for (const file of files) sources.set(file, (await app.read(file)) ?? '')
  const imported = new Set([...sources.values()].flatMap(importsOf))
  const roots = files.filter(file => !imported.has(file.replace(/\.py$/, '')))
  const isServed = (file: string) => {
    const source = sources.get(file) ?? ''
    return findObject(source) !== undefined || servedFrameworks.test(source)
  }
  const [only, ...others] = roots.filter(isServed)
  if (only !== undefined) return others.length === 0 ? only : undefined
  const [root = ''] = roots
  return roots.length === 1 && /__name__\s*==/.test(sources.get(root) ?? '') ? root : undefined
}

/** The first parts of the module names that a source imports. */
function importsOf(source: string): string[] {
  const lines = source.matchAll(/^\s*(?:from\s+\.?([\w.]+)\s+import|import\s+([\w., \t]+))/gm)
  return Array.from(lines, ([, from, names]) => (from ?? names ?? '').split(','))
    .flat()
    .map(name => /^\w*/.exec(name.trim())?.[0] ?? '')
}

/** Files that may hold the start, by precedence. */
export async function candidateFiles(app: App): Promise<string[]> {
  const only = await onlyFile(app)
  return [...new Set([...startFiles, ...packageFiles, ...(only === undefined ? [] : [only])])]
}

/** Jupyter notebooks in one directory. */
export async function notebooks(app: App): Promise<string[]> {
  return (await readdir(app.path)).filter(name => name.endsWith('.ipynb')).toSorted()
}

/** Directories that are packages but are not served. */
const otherPackages = /^(tests?|testing|docs?|migrations|scripts|examples?|alembic|tools|venv|env)$/

/** Modules that usually hold a package's application, by precedence. */
const packageModuleFiles = ['__init__', 'wsgi', 'asgi', 'app', 'main', 'server', 'application', 'web', 'api'].map(
  name => `${name}.py`,
)

/** Modules of the application's own packages that hold an object for a server, although their names do not say so. */
export async function packageModules(app: App): Promise<string[]> {
  const found: string[] = []
  for (const root of ['', 'src/']) {
    const entries = await readdir(app.at(root), { withFileTypes: true }).catch(() => [])
    for (const { name } of entries
      .filter(entry => entry.isDirectory())
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (!/^[A-Za-z_]\w*$/.test(name) || otherPackages.test(name)) continue
      if (!(await app.has(`${root}${name}/__init__.py`))) continue
      for (const module of packageModuleFiles) {
        const file = `${root}${name}/${module}`
        if (!packageFiles.includes(file) && findObject((await app.read(file)) ?? '') !== undefined) found.push(file)
      }
    }
  }
  return found
}

/** Programs that the project itself installs. */
export interface Scripts {
  readonly file: string
  /** The project's name; undefined if setup.py computes it. */
  readonly project: string | undefined
  /** The script with the usual name of a server. */
  readonly named: string | undefined
  /** The only script, or the one with the project's name. */
  readonly only: string | undefined
}

/** The scripts of pyproject.toml, setup.cfg or setup.py (packaging.python.org, "Entry points specification"). */
export async function readScripts(app: App): Promise<Scripts | undefined> {
  const document = parseToml((await app.read('pyproject.toml')) ?? '', 'pyproject.toml')
  const project = tableOf(document['project'])
  const poetry = tableOf(tableOf(document['tool'])['poetry'])
  const name = project['name'] ?? poetry['name']
  const declared = Object.keys({ ...tableOf(poetry['scripts']), ...tableOf(project['scripts']) })
  if (typeof name === 'string' && declared.length > 0) return chooseScript('pyproject.toml', name, declared)
  for (const file of ['setup.cfg', 'setup.py']) {
    const source = (await app.read(file)) ?? ''
    const list = /\bconsole_scripts\b['"]?\s*[:=]([^\]]*?)(?:\]|\n\s*\n|\n\[|$(?![\s\S]))/.exec(source)?.[1] ?? ''
    const names = Array.from(list.matchAll(/([\w.-]+)\s*=\s*[\w.]+:/g), ([, script = '']) => script)
    const own = /^\s*name\s*=\s*["']?([\w.-]+)/m.exec(source)?.[1]
    if (names.length > 0) return chooseScript(file, own, names)
  }
  return undefined
}

function chooseScript(file: string, project: string | undefined, names: readonly string[]): Scripts {
  const named = ['web', 'start', 'serve'].find(script => names.includes(script))
  const own = names.find(script => script === project)
  return { file, project, named, only: own ?? (names.length === 1 ? names[0] : undefined) }
}

/** A package that `python -m` runs. */
export interface MainPackage {
  /** The directory that it is imported from: none, or `src`. */
  readonly root: string
  readonly name: string
}

/** The only package with a `__main__.py`, also below src/. */
export async function mainPackage(app: App): Promise<MainPackage | undefined> {
  const found: MainPackage[] = []
  for (const root of ['', 'src']) {
    for (const entry of await readdir(app.at(root), { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory() || !/^[A-Za-z_]\w*$/.test(entry.name)) continue
      if (await app.has(posix.join(root, entry.name, '__main__.py'))) found.push({ root, name: entry.name })
    }
  }
  return found.length === 1 ? found[0] : undefined
}
