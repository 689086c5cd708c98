import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Component, packageUrl } from '../sdk/index.ts'
import { type Table, tableOf } from '../sdk/tables.ts'

/** An installed package. */
export interface InstalledPackage {
  /** The path from the project's root: `node_modules/a/node_modules/b`. */
  readonly path: string
  /** The name for imports. It differs from the package's own name for an alias (`"eb": "npm:esbuild@1"`) or a fork. */
  readonly folder: string
  readonly name: string
  /** A package that was installed from the address of an archive may have none. */
  readonly version: string | undefined
  readonly license: string | undefined
  /** It has a script that runs when it is installed. */
  readonly hasScripts: boolean
}

/** Folders in which pnpm, Bun and Yarn keep packages, which other folders link to. */
const stores = ['.pnpm', '.bun', '.store']

/** The packages in `node_modules` of some folders below `root`; links are not followed. */
export async function installedPackages(root: string, dirs: readonly string[]): Promise<InstalledPackage[]> {
  const found: InstalledPackage[] = []
  const waiting = dirs.map(dir => join(dir, 'node_modules'))
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const entry of await entriesOf(join(root, dir))) {
      const path = join(dir, entry)
      if (stores.includes(entry)) {
        const kept = await entriesOf(join(root, path))
        waiting.push(
          ...kept.map(name => (name === 'node_modules' ? join(path, name) : join(path, name, 'node_modules'))),
        )
      } else if (entry.startsWith('@')) {
        const scoped = await entriesOf(join(root, path))
        for (const name of scoped) await visit(join(path, name))
      } else if (!entry.startsWith('.')) await visit(path)
    }
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1))

  async function visit(path: string): Promise<void> {
    const json = await manifestOf(join(root, path))
    if (json === undefined) return
    waiting.push(join(path, 'node_modules'))
    const { name, version, license } = json
    const folder = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const hasScripts = runsScripts(json) || (await entriesOf(join(root, path), 'files')).includes('binding.gyp')
    found.push({
      path,
      folder,
      name: typeof name === 'string' ? name : folder,
      version: typeof version === 'string' ? version : undefined,
      license: typeof license === 'string' ? license : undefined,
      hasScripts,
    })
  }
}

/** Directories, without links, or files; none if the path is not a directory. */
async function entriesOf(path: string, kind: 'directories' | 'files' = 'directories'): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter(entry => (kind === 'files' ? entry.isFile() : entry.isDirectory())).map(({ name }) => name)
}

async function manifestOf(dir: string): Promise<Table | undefined> {
  const text = await readFile(join(dir, 'package.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    // npm accepts the byte order mark that editors on Windows write.
    return tableOf(JSON.parse(text.replace(/^\uFEFF/, '')))
  } catch {
    // An unreadable package.json has no name, and its scripts cannot run either.
    return {}
  }
}

function runsScripts({ scripts }: Table): boolean {
  return ['preinstall', 'install', 'postinstall'].some(name => Boolean(tableOf(scripts)[name]))
}

export function componentsOf(packages: readonly Pick<InstalledPackage, 'name' | 'version' | 'license'>[]): Component[] {
  return packages.flatMap(({ name, version, license }) => {
    if (version === undefined) return []
    const purl = packageUrl('npm', name, version)
    return [{ name, version, purl, ...(license !== undefined && { license }) }]
  })
}
