import { lstat, readlink } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

/** Files that decide about the packages: one that is a dead link would otherwise count as absent. */
const deciding = ['package.json', 'package-lock.json', 'npm-shrinkwrap.json', '.npmrc', '.nvmrc', '.node-version']

/** @throws BuildpackError if a file or a dependency that npm needs lies outside the source, which is all that a build has */
export async function checkSources(app: App, { localDependencies }: PackageJson): Promise<void> {
  for (const name of deciding) await checkLink(app, name)
  for (const [where, path] of localDependencies) {
    if (!leadsOut(app, path)) continue
    throw new BuildpackError(`${path.slice(0, 200)} lies outside the source that is built`, {
      where: `package.json ${where}`,
      fix: 'build from the folder that holds both, or copy the package into the source',
    })
  }
}

async function checkLink(app: App, name: string): Promise<void> {
  const found = await lstat(app.at(name)).catch(() => undefined)
  if (found?.isSymbolicLink() !== true || (await app.has(name))) return
  throw new BuildpackError(
    `is a link to ${(await readlink(app.at(name))).slice(0, 200)}, which is not in the source that is built`,
    {
      where: name,
      fix: `put the file itself in place of the link, or build from the folder that holds both`,
    },
  )
}

function leadsOut(app: App, path: string): boolean {
  const inside = relative(app.path, resolve(app.path, path))
  return inside === '..' || inside.startsWith('../')
}
