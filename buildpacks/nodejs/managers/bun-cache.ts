import type { Dirent } from 'node:fs'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes `to` a cache of Bun's that has what `from` has and can be written to. `from` is closed once scripts may run, and Bun installs nothing with a
 * cache that it cannot write to. Packages (`a@1.0.0@@@1`) are links; folders of scopes (`@s`) and of what versions of a package there are (`a`) are not.
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
