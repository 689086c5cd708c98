import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Directories that no servlet container serves, and `.well-known`, which is public (RFC 8615). */
const apart = new Set(['WEB-INF', 'META-INF', '.well-known'])

/**
 * Files of an unpacked web application that the container would serve although they do not belong to it: those in `known`, and all
 * names that start with a dot.
 */
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
