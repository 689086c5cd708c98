import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { App } from './app.ts'
import { firstSetting } from './platform.ts'
import { findObject } from './python-objects.ts'
import { tableOf } from './tables.ts'

/** Whether anything could start as an application of Python's, as far as the source says before packages are installed. */
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
/** Where an application may begin, in the order in which they are tried. */
export const startFiles: readonly string[] = [...names, ...names.map(name => `src/${name}`)]
/** In packages there is the object that a server calls, but nothing to run. */
export const packageFiles: readonly string[] = [
  'app/main.py',
  'app/__init__.py',
  'src/app/main.py',
  'src/app/__init__.py',
]

/** Where people make the application of Celery's. */
export const celeryFiles: readonly string[] = ['celery_app.py', 'tasks.py']

/** Files that tools run, and nobody serves. */
const toolFiles =
  /^(setup|conf|conftest|noxfile|fabfile|hubconf|manage|celeryconfig|gunicorn_conf|gunicorn_config|locustfile|rxconfig|config|settings|test_\w+|\w+_test)\.py$/
/** Files that stand in for the application or something else; but where there is nothing else, a demo is the application. */
const standIns = /^(?:(?:dev|demo|fake|mock)s?(?:_\w+)?|\w+_(?:dev|demo|fake|mock)s?)\.py$/

/**
 * Where there is one file of Python's, or one that the others are there for, it is the application, whatever its name; but none beside
 * a file with the name of a program, however little of that is understood.
 */
export async function onlyFile(app: App): Promise<string | undefined> {
  const mkdocs = await app.firstOf(['mkdocs.yml', 'mkdocs.yaml'])
  // Hooks of MkDocs have any name.
  const named = mkdocs === undefined ? [] : ((await app.read(mkdocs)) ?? '').split(/[^\w.]+/)
  const isOwn = (name: string) => /^[A-Za-z_]\w*\.py$/.test(name) && !toolFiles.test(name) && !named.includes(name)
  if ((await app.firstOf(startFiles)) !== undefined) return undefined
  const own = (await readdir(app.path)).filter(isOwn)
  const real = own.filter(name => !standIns.test(name))
  const files = real.length > 0 ? real : own
  if (files.length > 1 && (await hasPackageFile(app))) return undefined
  return files.length > 1 ? onlyProgram(app, files) : files[0]
}

/** Whether a package has what may well be the program. An empty `__init__.py` is none. */
async function hasPackageFile(app: App): Promise<boolean> {
  for (const file of packageFiles) if (((await app.read(file)) ?? '').trim() !== '') return true
  return false
}

const mostFiles = 50
/** Frameworks of which files are served that need not make an object. */
const servedFrameworks =
  /^\s*(?:import|from)\s+(?:streamlit|gradio|chainlit|marimo|shiny|solara|panel|nicegui|robyn|mesop)\b|\brun_app\(/m

/** Of files beside each other that are imported by no other, the only one if it is a program, else the only one that is served. */
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

/** The first parts of the names of modules that a source imports. */
function importsOf(source: string): string[] {
  const lines = source.matchAll(/^\s*(?:from\s+\.?([\w.]+)\s+import|import\s+([\w., \t]+))/gm)
  return Array.from(lines, ([, from, names]) => (from ?? names ?? '').split(','))
    .flat()
    .map(name => /^\w*/.exec(name.trim())?.[0] ?? '')
}

/** Files that may have what starts, in the order in which they are tried. */
export async function candidateFiles(app: App): Promise<string[]> {
  const only = await onlyFile(app)
  return [...new Set([...startFiles, ...packageFiles, ...(only === undefined ? [] : [only])])]
}

/** Notebooks of Jupyter's beside each other. */
export async function notebooks(app: App): Promise<string[]> {
  return (await readdir(app.path)).filter(name => name.endsWith('.ipynb')).toSorted()
}

/** Directories that are packages, and nothing that is served. */
const otherPackages = /^(tests?|testing|docs?|migrations|scripts|examples?|alembic|tools|venv|env)$/

/** Modules of a package in which its application is, in the order in which they are tried. */
const packageModuleFiles = ['__init__', 'wsgi', 'asgi', 'app', 'main', 'server', 'application', 'web', 'api'].map(
  name => `${name}.py`,
)

/** Modules of the application's own packages that have the object of a server, where their names do not say so. */
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

/** Programs that the project itself brings, once it is installed. */
export interface Scripts {
  readonly file: string
  /** The project's name; undefined if setup.py computes it. */
  readonly project: string | undefined
  /** The one with a name of a server's. */
  readonly named: string | undefined
  /** The only one, or that with the project's name. */
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
  /** Where it is imported from: nothing, or `src`. */
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
