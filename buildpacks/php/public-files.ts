import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from '../sdk/index.ts'

/** A file that is served as it is. */
export interface PublicFile {
  /** From the root that is served: `/assets/app.js`. */
  readonly path: string
  /** Of its bytes: a short hexadecimal digest. */
  readonly hash: string
}

/**
 * The files that are served as they are and that do not change as the application runs, sorted by path. Directories behind links,
 * such as Laravel's public/storage, are left out, and so is what is not `wanted`.
 */
export async function publicFiles(root: string, wanted: (path: string) => boolean): Promise<PublicFile[]> {
  const files: PublicFile[] = []
  const waiting = ['']
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const entry of await readdir(join(root, dir), { withFileTypes: true })) {
      const path = `${dir}/${entry.name}`
      if (entry.name.startsWith('.') && entry.name !== '.well-known') continue
      if (entry.isDirectory() && wanted(`${path}/`)) waiting.push(path)
      if (entry.isFile() && wanted(path)) {
        const digest = await digestOfFile(join(root, path))
        files.push({ path, hash: digest.slice('sha256:'.length, 'sha256:'.length + 20) })
      }
    }
  }
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}
