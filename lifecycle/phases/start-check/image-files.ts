import { lstatSync, readlinkSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { isErrno } from '../../errors.ts'
import { fromBuffer } from '../../files/byte-string.ts'
import { stageFile } from '../../files/staged.ts'
import type { Image } from '../../image/image.ts'
import { contentTar } from '../../layers/layer-tar.ts'
import { readTar } from '../../layers/tar/reader.ts'

/** The entry at a path of an image; `unknown` if it cannot be determined. */
export type ImageEntry =
  | { readonly type: 'program' | 'file' | 'directory' | 'absent' | 'unknown' }
  | { readonly type: 'link'; readonly target: string }

/** Looks at one path. Does not follow a link at the path. */
export type Look = (path: string) => ImageEntry

/** Links of an image and its executable files, by their absolute paths, bytes as Latin-1. */
export interface ProgramIndex {
  readonly programs: readonly string[]
  readonly links: Readonly<Record<string, string>>
}

/**
 * The programs and links of a run image. Reading a whole image takes time, so the result is kept in `dir`, if given,
 * under the digest of the image. Undefined if a layer is of a type that cannot be read.
 */
export async function programIndex(
  image: Image,
  dir: string | undefined,
  signal?: AbortSignal,
): Promise<ProgramIndex | undefined> {
  if (dir === undefined) return readIndex(image, signal)
  const file = join(dir, `${image.imageId.replace(':', '-')}.json`)
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  const known = kept === undefined ? undefined : parseIndex(kept)
  if (known) return known
  const index = await readIndex(image, signal)
  if (index === undefined) return undefined
  await mkdir(dir, { recursive: true })
  await using staged = await stageFile(dir)
  await staged.write(Buffer.from(JSON.stringify(index)))
  await staged.commit(file)
  return index
}

/** Returns undefined for a damaged file, which is then made again. */
function parseIndex(text: string): ProgramIndex | undefined {
  try {
    const { programs, links } = JSON.parse(text) as Partial<ProgramIndex>
    return Array.isArray(programs) && typeof links === 'object' ? { programs, links } : undefined
  } catch {
    return undefined
  }
}

async function readIndex(image: Image, signal?: AbortSignal): Promise<ProgramIndex | undefined> {
  const entries = new Map<string, string | undefined>()
  const removeBelow = (path: string, itself: boolean) => {
    for (const known of entries.keys())
      if (known.startsWith(`${path}/`) || (itself && known === path)) entries.delete(known)
  }
  for (const layer of image.layers) {
    const tar = contentTar(layer, signal)
    if (tar === undefined) return undefined
    const added = new Map<string, string | undefined>()
    const entry = (found: { type: string; name: string; target: string; mode: number }) => {
      const path = posix.join('/', found.name).replace(/\/$/, '')
      const [parent, base] = [posix.dirname(path), posix.basename(path)]
      if (base === '.wh..wh..opq') return removeBelow(parent === '/' ? '' : parent, false)
      if (base.startsWith('.wh.')) return removeBelow(posix.join(parent, base.slice('.wh.'.length)), true)
      if (found.type === 'directory') return entries.delete(path)
      removeBelow(path, true)
      const isProgram = found.type === 'hardlink' || (found.type === 'file' && (found.mode & 0o111) !== 0)
      if (found.type === 'symlink') added.set(path, found.target)
      else if (isProgram) added.set(path, undefined)
    }
    await readTar(tar, { entry: found => void entry(found), data() {}, endOfFile() {} }, signal ? { signal } : {})
    // Whiteouts concern the layers below only.
    for (const [path, target] of added) entries.set(path, target)
  }
  const all = [...entries]
  return {
    programs: all.flatMap(([path, target]) => (target === undefined ? [path] : [])),
    links: Object.fromEntries(all.flatMap(([path, target]) => (target === undefined ? [] : [[path, target]]))),
  }
}

/** Looks into the index. It has no directories: a path that is neither a link nor a program may be one. */
export function lookInIndex({ programs, links }: ProgramIndex): Look {
  const known = new Set(programs)
  return path => {
    if (Object.hasOwn(links, path)) return { type: 'link', target: links[path] as string }
    return { type: known.has(path) ? 'program' : 'absent' }
  }
}

/** Looks at files of this machine that will be at `image` in the image. Follows no links, since the files are hostile. */
export function lookInDirectory(at: { readonly host: string; readonly image: string }): Look {
  return path => {
    const host = join(at.host, path.slice(at.image.length))
    try {
      const stat = lstatSync(host)
      if (stat.isSymbolicLink()) return { type: 'link', target: fromBuffer(readlinkSync(host, 'buffer')) }
      if (stat.isDirectory()) return { type: 'directory' }
      return { type: stat.isFile() ? ((stat.mode & 0o111) === 0 ? 'file' : 'program') : 'file' }
    } catch (error) {
      return { type: isErrno(error, 'ENOENT', 'ENOTDIR') ? 'absent' : 'unknown' }
    }
  }
}

const mostLinks = 40

/** Returns the type of a path after following all links, as the kernel does. */
export function resolvePath(path: string, look: Look): ImageEntry['type'] {
  let todo = path.split('/').filter(part => part !== '')
  let done = ''
  for (let links = 0; ;) {
    const part = todo.shift()
    if (part === undefined) return 'directory'
    if (part === '.') continue
    if (part === '..') {
      done = posix.dirname(done === '' ? '/' : done).replace(/^\/$/, '')
      continue
    }
    const here = `${done}/${part}`
    const found = look(here)
    if (found.type === 'unknown') return 'unknown'
    if (found.type === 'link') {
      if (++links > mostLinks) return 'absent'
      if (found.target.startsWith('/')) done = ''
      todo = [...found.target.split('/').filter(p => p !== ''), ...todo]
    } else if (todo.length === 0) return found.type
    else if (found.type === 'program' || found.type === 'file') return 'absent'
    else done = here
  }
}
