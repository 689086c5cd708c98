import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from '../sdk/index.ts'
import { isDenied, type Scope } from './htaccess.ts'

/** A file that is served unchanged. */
export interface PublicFile {
  /** The path from the served root: `/assets/app.js`. */
  readonly path: string
  /** A short hexadecimal digest of its bytes. */
  readonly hash: string
}

export interface Restrictions {
  /** Expressions for paths that are never served, whatever the case of their letters. */
  readonly hidden: readonly string[]
  /** What .htaccess files deny. */
  readonly scopes: readonly Scope[]
  /** Directories that change at run time: `/uploads/`. */
  readonly changing: readonly string[]
}

/** Whether a file is public and does not change, or whether a directory (`/a/`) may have such files. */
export function publicPaths({ hidden, scopes, changing }: Restrictions): (path: string) => boolean {
  const expressions = hidden.map(pattern => new RegExp(pattern, 'i'))
  return path =>
    !path.endsWith('.php') &&
    !expressions.some(pattern => pattern.test(path)) &&
    !changing.some(dir => path.startsWith(dir)) &&
    // A closed directory may grant files.
    (path.endsWith('/') || !isDenied(scopes, path))
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
