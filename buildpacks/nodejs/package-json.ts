import { readJson, table, text } from '../../lifecycle/spec/read.ts'
import type { Metadata } from '../../lifecycle/spec/types.ts'
import { type App, BuildpackError } from '../sdk/index.ts'

/** What a package.json says that matters here. */
export interface PackageJson {
  readonly main: string | undefined
  readonly engines: { readonly node: string | undefined; readonly npm: string | undefined }
  /** `npm@11.2.0`, `pnpm@9.0.0+sha256.…` (Corepack's field). */
  readonly packageManager: string | undefined
  readonly scripts: Readonly<Record<string, string>>
  readonly hasDependencies: boolean
  readonly hasDevDependencies: boolean
  readonly hasWorkspaces: boolean
  /** The parts that decide what npm installs, as text for a key. */
  readonly dependencyFields: string
}

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

/** An application without a package.json: files alone. */
export const noPackageJson: PackageJson = {
  main: undefined,
  engines: { node: undefined, npm: undefined },
  packageManager: undefined,
  scripts: {},
  hasDependencies: false,
  hasDevDependencies: false,
  hasWorkspaces: false,
  dependencyFields: '',
}

/** @throws BaleError that says where package.json is wrong */
export async function readPackageJson(app: App): Promise<PackageJson | undefined> {
  const content = await app.read('package.json')
  if (content === undefined) return undefined
  checkSyntax(content)
  const root = readJson(content, 'package.json')
  // npm took a list once, and lists are still around: `"engines": ["node >= 0.8"]`.
  const engines = Array.isArray(root.table['engines']) ? undefined : table(root, 'engines')
  const scripts = table(root, 'scripts')
  const main = root.table['main']
  return {
    main: typeof main === 'string' && main !== '' ? main : undefined,
    engines: { node: engines && text(engines, 'node'), npm: engines && text(engines, 'npm') },
    packageManager: text(root, 'packageManager'),
    scripts: scripts
      ? Object.fromEntries(Object.keys(scripts.table).map(name => [name, text(scripts, name) ?? '']))
      : {},
    hasDependencies: ['dependencies', 'devDependencies', 'optionalDependencies', 'workspaces'].some(field =>
      isFilled(root.table[field]),
    ),
    hasDevDependencies: isFilled(root.table['devDependencies']),
    hasWorkspaces: isFilled(root.table['workspaces']),
    dependencyFields: pick(root.table, dependencyFields),
  }
}

/** Finds the line of a syntax error, without V8's quotation of the file. */
function checkSyntax(content: string): void {
  try {
    JSON.parse(content)
  } catch (error) {
    const place = /\(line (\d+) column (\d+)\)/.exec(String(error))
    throw new BuildpackError('not JSON', {
      where: place ? `package.json:${place[1]}:${place[2]}` : 'package.json',
      fix: 'look for a missing or surplus comma, quote or bracket there',
    })
  }
}

function isFilled(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

function pick(root: Metadata, names: readonly string[]): string {
  return JSON.stringify(names.map(name => root[name] ?? null))
}
