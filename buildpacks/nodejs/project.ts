import type { App, BuildContext } from '../sdk/index.ts'
import { noPackageJson, type PackageJson, readPackageJson } from './package-json.ts'

/** The application, and the folder from which its packages are installed: the same, or the top of the workspace that it belongs to. */
export interface Project {
  /** Where the lock file is. */
  readonly root: App
  readonly rootJson: PackageJson
  /** What is started. */
  readonly app: App
  readonly json: PackageJson
  /** The application's path from the top of the source: `apps/web`; empty for the top itself. */
  readonly dir: string
}

export async function findProject({ app }: Pick<BuildContext, 'app' | 'env'>): Promise<Project> {
  const json = (await readPackageJson(app)) ?? noPackageJson
  return { root: app, rootJson: json, app, json, dir: '' }
}
