import { mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { App } from '../sdk/index.ts'
import type { Site } from './site.ts'

/** Removes everything except the site from the application: sources and packages that only its build needed. */
export async function keepSiteOnly(app: App, root: string): Promise<void> {
  if (root === '.') return
  const parts = root.split('/')
  for (const [depth, part] of parts.entries()) {
    const dir = app.at(...parts.slice(0, depth))
    for (const name of await readdir(dir)) {
      if (name !== part) await rm(join(dir, name), { recursive: true, force: true })
    }
  }
}

/**
 * Puts the site below the path of BP_WEB_SERVER_LOCATION_PATH.
 * @returns the server's root directory
 */
export async function placeSite(app: App, { root, prefix }: Site): Promise<string> {
  if (prefix === '') return app.at(root)
  const place = app.at('.site')
  const link = join(place, prefix)
  await mkdir(dirname(link), { recursive: true })
  await symlink(relative(dirname(link), app.at(root)), link)
  return place
}
