import type { App } from './app.ts'

/** The parts of a package.json that tell what an application is. Whatever is of another type than it should be is left out. */
export interface PackageManifest {
  readonly name: unknown
  readonly main: unknown
  readonly scripts: Readonly<Record<string, unknown>>
  readonly dependencies: Readonly<Record<string, unknown>>
  readonly devDependencies: Readonly<Record<string, unknown>>
  /** Patterns of folders whose packages belong to the workspace. */
  readonly workspaces: readonly string[]
}

/** A file that is no JSON is for the Node.js buildpack to complain about: here it is empty. */
export async function readManifest(app: App): Promise<PackageManifest> {
  const text = (await app.has('package.json')) ? await app.read('package.json') : undefined
  const json = objectOf(parse(text ?? '{}'))
  return {
    name: json['name'],
    main: json['main'],
    scripts: objectOf(json['scripts']),
    dependencies: objectOf(json['dependencies']),
    devDependencies: objectOf(json['devDependencies']),
    workspaces: patternsOf(json['workspaces']),
  }
}

/** A list, or Yarn's table with the list as `packages`. */
function patternsOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : objectOf(value)['packages']
  return Array.isArray(list) ? list.filter(item => typeof item === 'string') : []
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
