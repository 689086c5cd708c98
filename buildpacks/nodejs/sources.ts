import { relative, resolve } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

/** @throws BuildpackError if a dependency lies outside the source, which is all that a build has */
export function checkSources(app: App, { localDependencies }: PackageJson): void {
  for (const [where, path] of localDependencies) {
    if (!leadsOut(app, path)) continue
    throw new BuildpackError(`${path.slice(0, 200)} lies outside the source that is built`, {
      where: `package.json ${where}`,
      fix: 'build from the folder that holds both, or copy the package into the source',
    })
  }
}

function leadsOut(app: App, path: string): boolean {
  const inside = relative(app.path, resolve(app.path, path))
  return inside === '..' || inside.startsWith('../')
}
