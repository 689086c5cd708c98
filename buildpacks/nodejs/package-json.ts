import { type Node, readJson, table, text } from '../../lifecycle/spec/read.ts'
import type { Metadata } from '../../lifecycle/spec/types.ts'
import { type App, BuildpackError } from '../sdk/index.ts'

/** The relevant parts of a package.json. */
export interface PackageJson {
  readonly main: string | undefined
  /** The main file for bundlers, and of applications that `bun init` creates. */
  readonly module: string | undefined
  /** Node and package managers, each with a range of versions. */
  readonly engines: Readonly<Record<string, string>>
  /** The version of Node in `devEngines.runtime`. */
  readonly devNode: string | undefined
  readonly name: string | undefined
  readonly version: string | undefined
  /** The files of the package's commands. */
  readonly commands: readonly string[]
  /** The tables that npm passes to scripts as variables: `npm_package_config_port`. */
  readonly scriptTables: { readonly config: unknown; readonly engines: unknown; readonly bin: unknown }
  /** The local folders and archives among the dependencies, by field and name: `["dependencies.lib", "../lib"]`. */
  readonly localDependencies: readonly (readonly [string, string])[]
  /** The package managers in `devEngines.packageManager`, each with a range of versions, which may be empty. */
  readonly devManagers: Readonly<Record<string, string>>
  /** The versions that Volta pins: `node`, and package managers by name. */
  readonly volta: Readonly<Record<string, string>>
  /** `npm@11.2.0`, `pnpm@9.0.0+sha256.…` (Corepack's field). */
  readonly packageManager: string | undefined
  readonly scripts: Readonly<Record<string, string>>
  /** Names of dependencies of every kind. */
  readonly packageNames: ReadonlySet<string>
  /** Names of dependencies that are installed only for development. */
  readonly devPackageNames: ReadonlySet<string>
  readonly hasDependencies: boolean
  readonly hasDevDependencies: boolean
  readonly hasWorkspaces: boolean
  /** The fields that determine what npm installs, as text for a key. */
  readonly dependencyFields: string
  /** All fields that may affect what any manager installs, as text for a key: everything except fields that are known to have no effect. */
  readonly installFields: string
  /** Names and ranges of the dependencies, by field. */
  readonly dependencies: Readonly<Record<DependencyField, Readonly<Record<string, string>>>>
  /** Patterns of folders whose packages belong to the workspace. */
  readonly workspaces: readonly string[]
}

export type DependencyField = 'dependencies' | 'devDependencies' | 'optionalDependencies'

const dependencyFields = [
  'dependencies',
  'optionalDependencies',
  'devDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'bundleDependencies',
  'overrides',
  'allowScripts',
]

/** An application without a package.json. */
export const noPackageJson: PackageJson = {
  main: undefined,
  module: undefined,
  engines: {},
  devManagers: {},
  volta: {},
  packageManager: undefined,
  devNode: undefined,
  name: undefined,
  version: undefined,
  commands: [],
  scriptTables: { config: undefined, engines: undefined, bin: undefined },
  localDependencies: [],
  scripts: {},
  packageNames: new Set(),
  devPackageNames: new Set(),
  hasDependencies: false,
  hasDevDependencies: false,
  hasWorkspaces: false,
  dependencyFields: '',
  installFields: '',
  dependencies: { dependencies: {}, devDependencies: {}, optionalDependencies: {} },
  workspaces: [],
}

/** Fields for users and registries, or for how the application runs. */
const otherFields = [
  'name',
  'version',
  'description',
  'keywords',
  'author',
  'contributors',
  'license',
  'homepage',
  'bugs',
].concat(['repository', 'funding', 'scripts', 'main', 'module', 'types', 'type', 'exports', 'private', 'browserslist'])

/** @throws BaleError that names the invalid place in package.json */
export async function readPackageJson(app: App, file = 'package.json'): Promise<PackageJson | undefined> {
  const content = await app.read(file)
  if (content === undefined) return undefined
  checkSyntax(content, file)
  const root = readJson(content, file)
  // npm once accepted a list, and such lists still exist: `"engines": ["node >= 0.8"]`.
  const engines = Array.isArray(root.table['engines']) ? undefined : table(root, 'engines')
  const scripts = table(root, 'scripts')
  return {
    main: stringOf(root.table['main']),
    module: stringOf(root.table['module']),
    engines: texts(engines),
    devManagers: devManagers(root.table['devEngines']),
    volta: rangesOf(root.table['volta']),
    packageManager: text(root, 'packageManager'),
    devNode: devRuntime(root.table['devEngines']),
    name: stringOf(root.table['name']),
    version: stringOf(root.table['version']),
    commands: [root.table['bin']].flatMap(bin => (isString(bin) ? [bin] : Object.values(rangesOf(bin)))),
    scriptTables: { config: root.table['config'], engines: root.table['engines'], bin: root.table['bin'] },
    localDependencies: localDependencies(root.table),
    scripts: texts(scripts),
    ...packageNames(root.table),
    hasDependencies: ['dependencies', 'devDependencies', 'optionalDependencies', 'workspaces'].some(field =>
      isFilled(root.table[field]),
    ),
    hasDevDependencies: isFilled(root.table['devDependencies']),
    hasWorkspaces: isFilled(root.table['workspaces']),
    dependencyFields: pick(root.table, dependencyFields),
    installFields: JSON.stringify(Object.entries(root.table).filter(([name]) => !otherFields.includes(name))),
    dependencies: {
      dependencies: rangesOf(root.table['dependencies']),
      devDependencies: rangesOf(root.table['devDependencies']),
      optionalDependencies: rangesOf(root.table['optionalDependencies']),
    },
    workspaces: workspacePatterns(root.table['workspaces']),
  }
}

function texts(node: Node | undefined): Record<string, string> {
  return node ? Object.fromEntries(Object.keys(node.table).map(name => [name, text(node, name) ?? ''])) : {}
}

/** Finds the line of a syntax error. Removes V8's quotation of the file from the message. */
function checkSyntax(content: string, file: string): void {
  try {
    JSON.parse(content)
  } catch (error) {
    const place = /\(line (\d+) column (\d+)\)/.exec(String(error))
    throw new BuildpackError('not JSON', {
      where: place ? `${file}:${place[1]}:${place[2]}` : file,
      fix: 'look for a missing or extra comma, quote or bracket there',
    })
  }
}

function packageNames(root: Metadata): Pick<PackageJson, 'packageNames' | 'devPackageNames'> {
  const of = (field: string) => (isFilled(root[field]) ? Object.keys(root[field] as object) : [])
  const forLaunch = new Set([...of('dependencies'), ...of('optionalDependencies')])
  const dev = of('devDependencies')
  return {
    packageNames: new Set([...forLaunch, ...dev]),
    devPackageNames: new Set(dev.filter(name => !forLaunch.has(name))),
  }
}

function isFilled(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

function pick(root: Metadata, names: readonly string[]): string {
  return JSON.stringify(names.map(name => root[name] ?? null))
}

const isString = (value: unknown): value is string => typeof value === 'string'

const stringOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

/** npm's `devEngines.runtime`: one runtime or a list. Without a version, any version is accepted. */
function devRuntime(devEngines: unknown): string | undefined {
  const { runtime } = (devEngines ?? {}) as { runtime?: unknown }
  const node = [runtime].flat().find(entry => (entry as { name?: unknown } | undefined)?.name === 'node')
  return stringOf((node as { version?: unknown } | undefined)?.version)?.trim() || undefined
}

function rangesOf(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => isString(entry[1])))
}

/** A list, or Yarn's table with the list as `packages`. */
function workspacePatterns(value: unknown): string[] {
  const list: unknown = Array.isArray(value) ? value : (value as { packages?: unknown } | undefined)?.packages
  return Array.isArray(list) ? list.filter(isString) : []
}

/** npm's `devEngines.packageManager`: one manager or a list. */
function devManagers(devEngines: unknown): Record<string, string> {
  const { packageManager } = (devEngines ?? {}) as { packageManager?: unknown }
  const entries = [packageManager].flat().map(entry => (entry ?? {}) as { name?: unknown; version?: unknown })
  return Object.fromEntries(
    entries.flatMap(({ name, version }) => (typeof name === 'string' ? [[name, stringOf(version)?.trim() ?? '']] : [])),
  )
}

/** npm accepts a path with or without `file:`; other managers also have `link:` and `portal:`. */
function localDependencies(root: Metadata): [string, string][] {
  const fields = ['dependencies', 'optionalDependencies', 'devDependencies']
  return fields.flatMap(field =>
    Object.entries((root[field] ?? {}) as Record<string, unknown>).flatMap(([name, value]): [string, string][] => {
      const path =
        typeof value === 'string' && /^(?:(?:file|link|portal):(?:\/\/(?=\/))?|(?=\.{1,2}\/|\/))(.+)/.exec(value)?.[1]
      return path ? [[`${field}.${name}`, path]] : []
    }),
  )
}
