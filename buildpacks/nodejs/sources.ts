import { posix } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'
import type { Project } from './project.ts'

/** @throws BuildpackError if a dependency lies outside the source, which is all that a build has */
export function checkSources(top: App, { root, rootJson, members }: Project): void {
  const base = root.path.slice(top.path.length + 1)
  for (const { dir, json } of [{ dir: '', json: rootJson }, ...members]) {
    for (const [where, path] of json.localDependencies) {
      if (!leadsOut(posix.join(base, dir), path)) continue
      throw new BuildpackError(`${path.slice(0, 200)} lies outside the source that is built`, {
        where: `${posix.join(base, dir, 'package.json')} ${where}`,
        fix: 'build from the folder that holds both, or copy the package into the source',
      })
    }
  }
}

function leadsOut(dir: string, path: string): boolean {
  if (path.startsWith('/')) return true
  const inside = posix.join(dir, path)
  return inside === '..' || inside.startsWith('../')
}
