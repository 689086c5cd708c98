import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Directories that no servlet container serves, and the one with a dot that everybody may read (RFC 8615). */
const apart = new Set(['WEB-INF', 'META-INF', '.well-known'])

/** Files of an unpacked web application that it would serve, and that are no part of it: those in `known`, and all with a dot before them. */
export async function hiddenFiles(root: string, known: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const visit = async (dir: string): Promise<void> => {
    for (const entry of await readdir(join(root, dir), { withFileTypes: true })) {
      const path = join(dir, entry.name)
      if (apart.has(path)) continue
      if (entry.name.startsWith('.') || known.includes(path)) found.push(path)
      else if (entry.isDirectory()) await visit(path)
    }
  }
  await visit('')
  return found.toSorted()
}
