import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '../sdk/index.ts'

/** Takes everything out of the application but the site: sources and packages that only its build needed. */
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
