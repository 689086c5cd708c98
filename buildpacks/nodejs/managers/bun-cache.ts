import type { Dirent } from 'node:fs'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes `to` a writable Bun cache with the contents of `from`. `from` is read-only once scripts may run, and Bun installs nothing with
 * a read-only cache. Packages (`a@1.0.0@@@1`) are links. Folders of scopes (`@s`) and those that list the versions of a package (`a`)
 * are not.
 */
export async function linkCache(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  const there = new Set(await readdir(to))
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (isFolderOfOthers(entry)) await linkCache(join(from, entry.name), join(to, entry.name))
    else if (!there.has(entry.name)) await symlink(join(from, entry.name), join(to, entry.name))
  }
}

const isFolderOfOthers = (entry: Dirent): boolean => entry.isDirectory() && !entry.name.includes('@', 1)
