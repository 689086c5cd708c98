import { BaleError } from '../../errors.ts'
import { isDigest } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import { type ImageIndex, descriptorOf, isImageIndex } from '../../image/image-index.ts'
import { parseJson } from '../../image/json.ts'
import type { Descriptor } from '../../image/manifest.ts'
import { isTable } from '../../spec/table.ts'
import { oci } from '../../image/media-types.ts'

/**
 * `index.json` of an OCI layout (image-spec image-layout.md): the images and their names. Other tools add entries and keys
 * that are unknown here. Those are no errors and must not get lost, so an entry remains the object that was read.
 */
export interface IndexFile {
  readonly manifests: readonly Entry[]
  readonly [key: string]: unknown
}
export type Entry = Readonly<Record<string, unknown>>

const nameAnnotation = 'org.opencontainers.image.ref.name'

/** The file `oci-layout`, which makes a directory a layout. */
export const layoutHeader = Buffer.from('{"imageLayoutVersion":"1.0.0"}')

export const emptyIndex: IndexFile = { schemaVersion: 2, mediaType: oci.index, manifests: [] }

export function parseIndexFile(bytes: Uint8Array, where: string): IndexFile {
  const value = parseJson(bytes, where)
  if (!isTable(value)) throw new BaleError('input', 'is not a JSON object', { where })
  const { manifests } = value
  if (!Array.isArray(manifests) || !manifests.every(isTable)) {
    throw new BaleError('input', 'is not a list of objects', { where: `${where} manifests` })
  }
  return { ...value, manifests }
}

export function formatIndexFile(index: IndexFile): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(index))
}

/** The name of an entry; empty if it has none. */
export function nameOf(entry: Entry): string {
  const name = isTable(entry.annotations) ? entry.annotations[nameAnnotation] : undefined
  return typeof name === 'string' ? name : ''
}

/** Whether the entry is a complete descriptor. */
export function isDescriptor(entry: Entry): entry is Entry & Descriptor {
  const { mediaType, digest, size } = entry
  return typeof mediaType === 'string' && isDigest(digest) && Number.isSafeInteger(size) && (size as number) >= 0
}

/** The descriptor of an image or an index in `index.json`. */
export function entryOf(content: Image | ImageIndex): Descriptor {
  if (!isImageIndex(content)) return descriptorOf({ image: content })
  const { document, digest, bytes } = content
  return { mediaType: document.mediaType, digest, size: bytes.length }
}

/** Returns the index with `name` given to this entry only. */
export function withName(index: IndexFile, name: string, target: Descriptor | Entry): IndexFile {
  const { annotations, ...entry } = target
  const kept = isTable(annotations) ? annotations : {}
  const named = name === '' ? { ...entry, annotations } : { ...entry, annotations: { ...kept, [nameAnnotation]: name } }
  return { ...index, manifests: [...withoutName(index, name).manifests, named] }
}

export function withoutName(index: IndexFile, name: string): IndexFile {
  return { ...index, manifests: index.manifests.filter(entry => nameOf(entry) !== name) }
}
