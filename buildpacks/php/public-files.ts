import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from '../sdk/index.ts'

/** A file that is served unchanged. */
export interface PublicFile {
  /** The path from the served root: `/assets/app.js`. */
  readonly path: string
  /** A short hexadecimal digest of its bytes. */
  readonly hash: string
}

/**
 * The files that are served unchanged and that do not change at run time, sorted by path. Directories behind links, such as Laravel's
 * public/storage, and files that are not `wanted` are left out.
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
