import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** A file of the site. */
export interface SiteFile {
  /** The path from the site's root: `/assets/app.js`. */
  readonly path: string
  readonly size: number
  /** A short hexadecimal digest of its bytes. */
  readonly hash: string
}

/** Configuration files, which are not part of the site. */
const settings = new Set([
  ...['_redirects', '_headers', 'Staticfile', 'Staticfile.auth', 'Procfile', 'project.toml', 'static.json'],
])

interface Served {
  /** Names that start with a dot are also served; otherwise only .well-known. */
  readonly dotFiles: boolean
  /** A tool generated the site: a node_modules below its root does not contain packages. */
  readonly isBuilt: boolean
}

/** The served files, sorted by path. */
export async function listFiles(root: string, served: Served): Promise<SiteFile[]> {
  const files: SiteFile[] = []
  await visit(root, '', files, served)
  return files
}

async function visit(root: string, dir: string, files: SiteFile[], served: Served): Promise<void> {
  const names = (await readdir(join(root, dir))).toSorted()
  for (const name of names) {
    if (!isServed(name, dir, served)) continue
    const path = `${dir}/${name}`
    // A link may be dangling; nginx follows links, and so does this.
    const found = await stat(join(root, path)).catch(() => undefined)
    if (found?.isDirectory()) await visit(root, path, files, served)
    else if (found?.isFile()) files.push({ path, size: found.size, hash: await hashOf(join(root, path)) })
  }
}

function isServed(name: string, dir: string, { dotFiles, isBuilt }: Served): boolean {
  if (dir === '' && settings.has(name)) return false
  if (name === 'node_modules' && (!isBuilt || dir === '')) return false
  return dotFiles || !name.startsWith('.') || name === '.well-known'
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex').slice(0, 20)
}
