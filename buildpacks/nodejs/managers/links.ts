import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Removes links in `node_modules` whose packages no longer exist, and the links to their commands. */
export async function removeDeadLinks(modules: string): Promise<void> {
  for (const dir of [modules, join(modules, '.bin'), ...(await inner(modules))]) {
    for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
      const path = join(dir, entry.name)
      if (entry.isSymbolicLink() && !(await exists(path))) await rm(path)
    }
  }
}

/** Folders of scopes, and those folders of Bun's and pnpm's stores that contain only links. */
async function inner(modules: string): Promise<string[]> {
  const names = (await readdir(modules).catch(() => [])).filter(name => name.startsWith('@'))
  return [...names, '.bun/node_modules', '.pnpm/node_modules'].map(name => join(modules, name))
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
