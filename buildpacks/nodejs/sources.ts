import { posix } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

/** @throws BuildpackError if a dependency lies outside the source, since a build has only the source */
export function checkSources(top: App, { root, rootJson, members, isWorkspace, dir: own }: Project): void {
  if (!isWorkspace && own === '') checkWorkspace(rootJson)
  const base = root.path.slice(top.path.length + 1)
  for (const { dir, json } of [{ dir: '', json: rootJson }, ...members]) {
    for (const [where, path] of json.localDependencies) {
      if (!leadsOut(posix.join(base, dir), path)) continue
      throw new BuildpackError(`${path.slice(0, 200)} is outside the source`, {
        where: `${posix.join(base, dir, 'package.json')} ${where}`,
        fix: 'build the folder that contains both, or copy the package into the source',
      })
    }
  }
}

/** The folder of one package has neither the workspace's other packages nor the versions of its catalog. */
function checkWorkspace({ dependencies, hasWorkspaces, installFields }: PackageJson): void {
  // Bun's catalog is in package.json.
  if (hasWorkspaces || /"catalogs?"/.test(installFields)) return
  for (const [field, ranges] of Object.entries(dependencies)) {
    const found = Object.entries(ranges).find(([, range]) => range.startsWith('workspace:'))
    if (found === undefined) continue
    throw new BuildpackError(`${found[0]} is a package of a workspace, whose root is not in the source`, {
      where: `package.json ${field}.${found[0]}`,
      fix: 'build from the root of the workspace, and set BP_NODE_PROJECT_PATH to the folder of the application, for example "apps/web"',
    })
  }
}

function leadsOut(dir: string, path: string): boolean {
  if (path.startsWith('/')) return true
  const inside = posix.join(dir, path)
  return inside === '..' || inside.startsWith('../')
}
