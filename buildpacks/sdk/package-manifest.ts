import type { App } from './app.ts'
import { type Table, tableOf } from './tables.ts'

/** The parts of a package.json that show what an application is. Values of a wrong type are left out. */
export interface PackageManifest {
  readonly name: unknown
  readonly main: unknown
  readonly scripts: Table
  readonly dependencies: Table
  readonly devDependencies: Table
  /** Patterns of folders whose packages belong to the workspace. */
  readonly workspaces: readonly string[]
}

/** The result is empty for invalid JSON, which the Node.js buildpack reports. */
export async function readManifest(app: App): Promise<PackageManifest> {
  const text = (await app.has('package.json')) ? await app.read('package.json') : undefined
  const json = tableOf(parse(text ?? '{}'))
  return {
    name: json['name'],
    main: json['main'],
    scripts: tableOf(json['scripts']),
    dependencies: tableOf(json['dependencies']),
    devDependencies: tableOf(json['devDependencies']),
    workspaces: patternsOf(json['workspaces']),
  }
}

/** A list, or Yarn's table with the list as `packages`. */
function patternsOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : tableOf(value)['packages']
  return Array.isArray(list) ? list.filter(item => typeof item === 'string') : []
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
