import { createReadStream } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract } from 'tar-stream'
import { inspect } from './bale.ts'

/** What an image of the local store holds, as another reader than ours sees it. */
export interface ImageFiles {
  /** Bytes of its compressed layers, manifest and config. */
  readonly compressed: number
  /** Bytes of the files that a container sees: a file that a later layer replaces or deletes does not count. */
  readonly unpacked: number
  readonly layers: readonly { readonly what: string; readonly digest: string; readonly size: number }[]
  /** Absolute paths of files and links. */
  readonly paths: readonly string[]
}

/** Reads the layers of an image in the local store (image-spec, layer.md, "Applying Changesets"). */
export async function readImageFiles(image: string): Promise<ImageFiles> {
  const { size, layers } = await inspect(image)
  const sizes = new Map<string, number>()
  for (const { digest } of layers) {
    for (const entry of await entriesOf(digest)) apply(sizes, entry)
  }
  const unpacked = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  return { compressed: size, unpacked, layers, paths: [...sizes.keys()].toSorted() }
}

interface Entry {
  readonly path: string
  readonly size: number
  readonly isDirectory: boolean
}

/** Run images are in many images, and read once. */
const known = new Map<string, Promise<readonly Entry[]>>()

function entriesOf(digest: string): Promise<readonly Entry[]> {
  const reading = known.get(digest) ?? readEntries(digest)
  known.set(digest, reading)
  return reading
}

async function readEntries(digest: string): Promise<Entry[]> {
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share')
  const file = join(data, 'bale/images/blobs', digest.replace(':', '/'))
  const entries: Entry[] = []
  const reader = extract()
  reader.on('entry', ({ name, size = 0, type }, content, next) => {
    entries.push({ path: join('/', name), size: type === 'file' ? size : 0, isDirectory: type === 'directory' })
    content.on('end', next).resume()
  })
  await pipeline(createReadStream(file), await decompressor(file), reader)
  return entries
}

async function decompressor(file: string) {
  for await (const chunk of createReadStream(file, { end: 3 })) {
    return (chunk as Buffer).readUInt32LE() === 0xfd2fb528 ? createZstdDecompress() : createGunzip()
  }
  throw new Error(`${file} is empty`)
}

function apply(sizes: Map<string, number>, { path, size, isDirectory }: Entry): void {
  const [, dir = '', name = ''] = /^(.*)\/\.wh\.([^/]+)$/.exec(path) ?? []
  if (name === '.wh..opq') removeBelow(sizes, dir)
  else if (name !== '') {
    sizes.delete(`${dir}/${name}`)
    removeBelow(sizes, `${dir}/${name}`)
  } else if (!isDirectory) sizes.set(path, size)
}

function removeBelow(sizes: Map<string, number>, dir: string): void {
  for (const path of sizes.keys()) if (path.startsWith(`${dir}/`)) sizes.delete(path)
}
