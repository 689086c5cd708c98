import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'

/**
 * Reads files of an image whose layers are unpacked side by side, as if they were overlaid. The image may be
 * hostile: no link is followed, since it would lead to files of this machine (X23).
 */
export class LayeredFiles {
  readonly #layers: readonly string[]

  /** @param layers absolute paths, the lowest first */
  constructor(layers: readonly string[]) {
    this.#layers = layers
  }

  /** The content of a regular file, or undefined if there is none. @param path in the image: `cnb/order.toml` */
  async read(path: string): Promise<Uint8Array | undefined> {
    const layer = await this.#topmost(path)
    return layer === undefined ? undefined : readUntrusted(join(layer, path), layer)
  }

  /** The names of the directories in a directory, sorted; links to directories are left out. None if it does not exist. */
  async directories(path: string): Promise<string[]> {
    const names = new Map<string, boolean>()
    for (const layer of this.#layers.toReversed()) {
      const kind = await kindAt(layer, path)
      if (kind === 'other') break // it hides the lower layers
      if (kind === 'nothing') continue
      for (const entry of await readdir(join(layer, path), { withFileTypes: true }))
        if (!names.has(entry.name)) names.set(entry.name, entry.isDirectory())
    }
    return [...names].flatMap(([name, isDirectory]) => (isDirectory ? [name] : [])).sort()
  }

  /** The path on this machine of the directory in the topmost layer; undefined if the path does not exist or is a link. */
  async findDirectory(path: string): Promise<string | undefined> {
    const layer = await this.#topmost(path)
    return layer !== undefined && (await kindAt(layer, path)) === 'directory' ? join(layer, path) : undefined
  }

  async #topmost(path: string): Promise<string | undefined> {
    for (const layer of this.#layers.toReversed()) if ((await kindAt(layer, path)) !== 'nothing') return layer
    return undefined
  }
}

/** Returns what a path of a layer is. A link in a parent directory is an error. */
async function kindAt(layer: string, path: string): Promise<'nothing' | 'directory' | 'other'> {
  let at = layer
  const names = path.split('/')
  for (const [n, name] of names.entries()) {
    at = join(at, name)
    const found = await lstat(at).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    })
    if (found === undefined) return 'nothing'
    if (n === names.length - 1) return found.isDirectory() ? 'directory' : 'other'
    if (!found.isDirectory())
      throw new BaleError('input', 'a directory is needed in the image, but it is a link or a file', {
        where: `/${names.slice(0, n + 1).join('/')}`,
        fix: 'use an image without it',
      })
  }
  return 'directory'
}
