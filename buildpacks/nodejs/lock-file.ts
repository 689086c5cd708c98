import { readJson, tableMap } from '../../lifecycle/spec/read.ts'
import { type Table, tableOf } from '../sdk/tables.ts'
import { parseYaml, scalarOf } from './yaml.ts'

/** The facts of a lock file that matter before anything is installed. */
export interface LockFile {
  /** The version of the file's format, in the manager's notation. */
  readonly format: string
  /** Each package is an archive with a digest. */
  readonly complete: boolean
  readonly packages: readonly { readonly name: string; readonly version: string }[]
  /**
   * True if the lock file has what a package.json requires. It may accept more than the manager, but never less.
   * @param dir the folder of the package.json: `apps/web`, or `.`
   */
  knows(dir: string, name: string, range: string): boolean
}

export type LockReader = (text: string, where: string) => LockFile

/** Protocols of packages outside of a registry. The lock file may write such a dependency differently from package.json. */
const isLocal = (range: string) =>
  /^(workspace|link|file|portal|catalog|patch|exec|jsr|git|https?|github):|\//.test(range)

export const readNpmLock: LockReader = (text, where) => {
  const root = readJson(text, where)
  const entries = tableMap(root, 'packages')
  const old = tableOf(root.table['dependencies'])
  const names = new Set([...entries.map(([path]) => path), ...Object.keys(old).map(name => `node_modules/${name}`)])
  return {
    format: scalarOf(root.table['lockfileVersion']),
    complete: false,
    packages: [],
    // npm looks for a package in the folder of the package that needs it, and in the folders above.
    knows: (dir, name, range) =>
      isLocal(range) || names.has(`node_modules/${name}`) || names.has(`${dir}/node_modules/${name}`),
  }
}

/** Yarn 1: blocks of lines, each after its patterns: `d@1, "d@^1.0.1":`. */
export const readYarnLock: LockReader = text => {
  const blocks = text.split(/\n(?=\S)/).filter(block => /^("?@|"?[\w.-]).*:\s*$/m.test(block.split('\n')[0] ?? ''))
  const entries = blocks.map(block => {
    const [head = '', ...lines] = block.split('\n')
    const patterns = head.replace(/:\s*$/, '').split(/,\s*/).map(unquote)
    const field = (name: string) =>
      unquote(lines.find(line => line.startsWith(`  ${name} `))?.slice(name.length + 3) ?? '')
    return { patterns, version: field('version'), integrity: field('integrity') }
  })
  const patterns = new Set(entries.flatMap(entry => entry.patterns))
  return {
    format: '1',
    complete: entries.every(({ integrity }) => integrity !== ''),
    packages: entries.map(({ patterns: [first = ''], version }) => ({ name: nameOf(first), version })),
    knows: (_dir, name, range) => isLocal(range) || patterns.has(`${name}@${range}`),
  }
}

/**
 * Yarn's own patch of an archive, which Yarn's version determines:
 * `typescript@patch:typescript@npm%3A5.6.3#optional!builtin<compat/typescript>::…`.
 */
const ownPatch = /@patch:[^#]+@npm%3A[^#]+#(?:optional!|~)?builtin<[\w/-]+>(?:::[^#]*)?$/

/** Yarn 2 and newer: YAML, with a table for each package: `"d@npm:1, d@npm:^1.0.1":`. */
export const readBerryLock: LockReader = (text, where) => {
  const { __metadata: metadata, ...rest } = parseYaml(text, where)
  const entries = Object.entries(rest).map(([head, value]) => ({ head, entry: tableOf(value) }))
  const names = new Set(entries.flatMap(({ head }) => head.split(/,\s*/).map(nameOf)))
  const isArchive = ({ resolution, checksum }: Table) =>
    (/@npm:/.test(String(resolution)) || ownPatch.test(String(resolution))) && checksum !== undefined
  const isWorkspace = ({ resolution }: Table) => String(resolution).includes('@workspace:')
  return {
    format: scalarOf(tableOf(metadata)['version']),
    // A package for another system has no checksum.
    complete: entries.every(({ entry }) => isArchive(entry) || isWorkspace(entry) || entry['conditions'] !== undefined),
    packages: entries
      .filter(({ entry }) => !isWorkspace(entry))
      .map(({ entry }) => ({ name: nameOf(String(entry['resolution'])), version: String(entry['version']) })),
    knows: (_dir, name, range) => isLocal(range) || names.has(name),
  }
}

export const readPnpmLock: LockReader = (text, where) => {
  const lock = parseYaml(text, where)
  const importers = tableOf(lock['importers'] ?? { '.': lock })
  const packages = Object.entries(tableOf(lock['packages'])).map(([key, value]) => ({ key, entry: tableOf(value) }))
  return {
    format: scalarOf(lock['lockfileVersion']),
    complete: packages.every(({ entry }) => typeof tableOf(entry['resolution'])['integrity'] === 'string'),
    packages: [],
    knows(dir, name, range) {
      const importer = importers[dir]
      // The lock file of one of several projects says nothing about the others.
      if (isLocal(range) || importer === undefined) return true
      const fields = ['dependencies', 'devDependencies', 'optionalDependencies', 'specifiers']
      return fields.some(field => Object.hasOwn(tableOf(tableOf(importer)[field]), name))
    },
  }
}

export const readBunLock: LockReader = (text, where) => {
  const lock = parseYaml(text, where)
  const workspaces = tableOf(lock['workspaces'])
  const packages = Object.values(tableOf(lock['packages']))
  return {
    format: scalarOf(lock['lockfileVersion']),
    complete: packages.every(entry => /^sha\d+-/.test(String((Array.isArray(entry) ? entry.at(-1) : '') ?? ''))),
    packages: [],
    knows(dir, name, range) {
      const workspace = workspaces[dir === '.' ? '' : dir]
      if (isLocal(range) || workspace === undefined) return true
      const fields = ['dependencies', 'devDependencies', 'optionalDependencies']
      return fields.some(field => Object.hasOwn(tableOf(tableOf(workspace)[field]), name))
    },
  }
}

const unquote = (text: string) => text.trim().replace(/^"(.*)"$/, '$1')

/** The package's name: `@s/b` for `@s/b@npm:^1.0.0`. */
function nameOf(pattern: string): string {
  const at = pattern.indexOf('@', 1)
  return at < 0 ? pattern : pattern.slice(0, at)
}
