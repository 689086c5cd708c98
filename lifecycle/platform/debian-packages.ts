import { posix } from 'node:path'
import type { Layer } from '../image/layer.ts'
import { contentTar } from '../layers/layer-tar.ts'
import { relativeName } from '../layers/tar/names.ts'
import { readTar } from '../layers/tar/reader.ts'

/** A Debian package that differs between two images: added if `from` is absent, removed if `to` is absent. */
export interface PackageChange {
  readonly name: string
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** dpkg's records of installed packages: one file, or in images without dpkg one for each package. */
const record = /^var\/lib\/dpkg\/status(\.d\/[^/]+)?$/
/** In bytes. The record of a whole desktop has about five million. */
const largest = 32 * 1024 * 1024

/**
 * The versions of the Debian packages that an image's layers record, by `NAME:ARCHITECTURE`. Reads each layer, and unpacks none.
 * Undefined if they record none, or cannot be read.
 * @throws BaleError 'input' for a damaged layer
 */
export async function debianPackages(
  layers: readonly Layer[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  const files = new Map<string, string>()
  for (const layer of layers) {
    const added = await readRecords(layer, files, signal)
    if (added === undefined) return undefined
    // Whiteouts apply only to lower layers.
    for (const [path, text] of added) files.set(path, text)
  }
  const found = new Map([...files.values()].flatMap(parseStatus))
  return found.size === 0 ? undefined : found
}

/** Reads the records in one layer, and removes the deleted ones of lower layers. Undefined if a record cannot be read. */
async function readRecords(
  layer: Layer,
  below: Map<string, string>,
  signal?: AbortSignal,
): Promise<Map<string, string> | undefined> {
  const tar = contentTar(layer, signal)
  if (tar === undefined) return undefined
  const added = new Map<string, string>()
  const remove = (path: string) => {
    for (const known of below.keys()) if (known === path || known.startsWith(`${path}/`)) below.delete(known)
  }
  let [isClear, open] = [true, undefined as { path: string; parts: Uint8Array[] } | undefined]
  const entry = ({ name, type, size }: { name: string; type: string; size: number }): void => {
    const path = relativeName(name)
    const [dir, base] = [posix.dirname(path), posix.basename(path)]
    if (base === '.wh..wh..opq')
      for (const known of below.keys()) void (known.startsWith(`${dir}/`) && below.delete(known))
    else if (base.startsWith('.wh.')) remove(posix.join(dir, base.slice('.wh.'.length)))
    else if (type !== 'directory' && record.test(path)) {
      if (type !== 'file' || size > largest) isClear = false
      else open = { path, parts: [] }
    } else if (type !== 'directory') remove(path)
  }
  const data = (chunk: Uint8Array): void => void open?.parts.push(Buffer.from(chunk))
  const endOfFile = (): void => {
    if (open !== undefined) added.set(open.path, Buffer.concat(open.parts).toString('utf8'))
    open = undefined
  }
  await readTar(tar, { entry, data, endOfFile }, signal === undefined ? {} : { signal })
  return isClear ? added : undefined
}

/** Stanzas of fields (deb822(5)). A package that is configured only, or half removed, is not installed. */
function parseStatus(text: string): [string, string][] {
  return text.split(/\n\s*\n/).flatMap((stanza): [string, string][] => {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(stanza)?.[1]?.trim()
    const [name, version, status] = [field('Package'), field('Version'), field('Status')]
    if (name === undefined || version === undefined || status?.endsWith(' installed') === false) return []
    return [[`${name}:${field('Architecture') ?? ''}`, version]]
  })
}

/** Returns the differences, sorted by name. */
export function packageChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly PackageChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort()
  return keys
    .map(key => ({ name: key.replace(/:.*$/, ''), from: before.get(key), to: after.get(key) }))
    .filter(({ from, to }) => from !== to)
}
