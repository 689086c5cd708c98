import { BaleError } from '../../errors.ts'
import type { ImageConfig } from '../../image/config.ts'
import { type Digest, digestOf, hexOf } from '../../image/digest.ts'
import { type Image, assembleImage } from '../../image/image.ts'
import {
  type ImageIndex,
  type IndexedImage,
  assembleImageIndex,
  makeImageIndex,
  readIndexed,
} from '../../image/image-index.ts'
import { parseJson } from '../../image/json.ts'
import type { Layer } from '../../image/layer.ts'
import type { Descriptor, Index, Manifest, Platform } from '../../image/manifest.ts'
import { docker, oci } from '../../image/media-types.ts'
import { checkLayerCount, parseConfig, parseManifest, selectPlatform } from '../../image/validate.ts'
import { type Entry, type IndexFile, isDescriptor, nameOf, parseIndexFile } from './index-file.ts'

/** The files of a layout in a directory or in a tar. Paths are relative: `blobs/sha256/<hex>`. */
export interface LayoutFiles {
  /** For messages: `oci:/tmp/out`. */
  readonly description: string
  /** The whole of a small file, or undefined if there is none. A file of more than `maxBytes` is an error. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  /** A large file in chunks. An error if it does not have `size` bytes. */
  open(path: string, size: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** Registries accept no larger manifest (distribution-spec, "Pushing Manifests"). */
const maxManifest = 4 * 1024 * 1024
const maxConfig = 16 * 1024 * 1024
/** Our own store has an entry of about 300 bytes for each name. */
const maxIndexFile = 16 * 1024 * 1024

export const blobPath = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`

export async function readIndexFile(files: LayoutFiles): Promise<IndexFile | undefined> {
  const bytes = await files.read('index.json', maxIndexFile)
  return bytes === undefined ? undefined : parseIndexFile(bytes, `${files.description} index.json`)
}

/** Reads the image of a name, verified and validated, but not its layers. Undefined if the name is not in the index. */
export async function pullFromLayout(
  files: LayoutFiles,
  index: IndexFile,
  name: string,
  platform: Platform,
  signal?: AbortSignal,
): Promise<Image | undefined> {
  const found = findDescriptors(files, index, name)
  const [first] = found
  if (first === undefined) return undefined
  const where = placeOf(files, name)
  const chosen = found.length === 1 ? first : selectPlatform(asIndex(found), platform, where)
  const bytes = await readBlob(files, chosen, maxManifest, where)
  const manifest = parseManifest(bytes, where)
  if ('layers' in manifest) return imageOf(files, bytes, manifest, where, signal)
  return readImage(files, selectPlatform(manifest, platform, where), where, signal)
}

/** The index of a name with all its images; undefined if the name is not in `index.json`, or is an image. */
export async function pullIndexFromLayout(
  files: LayoutFiles,
  index: IndexFile,
  name: string,
  signal?: AbortSignal,
): Promise<ImageIndex | undefined> {
  const found = findDescriptors(files, index, name)
  const [first] = found
  if (first === undefined) return undefined
  const where = placeOf(files, name)
  if (found.length > 1) return makeImageIndex(await readImages(files, asIndex(found), where, signal))
  const bytes = await readBlob(files, first, maxManifest, where)
  const document = parseManifest(bytes, where)
  if ('layers' in document) return undefined
  return assembleImageIndex(bytes, document, await readImages(files, document, where, signal))
}

function readImages(files: LayoutFiles, document: Index, where: string, signal?: AbortSignal): Promise<IndexedImage[]> {
  return readIndexed(document, entry => readImage(files, entry, where, signal))
}

async function readImage(
  files: LayoutFiles,
  descriptor: Descriptor,
  where: string,
  signal?: AbortSignal,
): Promise<Image> {
  signal?.throwIfAborted()
  const bytes = await readBlob(files, descriptor, maxManifest, where)
  const manifest = parseManifest(bytes, where)
  if ('manifests' in manifest) throw new BaleError('input', 'has an index in its index', { where })
  return imageOf(files, bytes, manifest, where, signal)
}

async function imageOf(
  files: LayoutFiles,
  bytes: Uint8Array,
  manifest: Manifest,
  where: string,
  signal?: AbortSignal,
): Promise<Image> {
  signal?.throwIfAborted()
  const { configBytes, config } = await readConfig(files, manifest, where)
  return assembleImage(bytes, manifest, configBytes, config, layersOf(files, manifest, config))
}

const placeOf = (files: LayoutFiles, name: string): string =>
  name === '' ? files.description : `${files.description} ${name}`

/** Some tools give the images of several platforms one name, rather than writing an index. */
const asIndex = (manifests: readonly Descriptor[]): Index => ({ schemaVersion: 2, mediaType: oci.index, manifests })

const findDescriptors = (files: LayoutFiles, index: IndexFile, name: string): readonly Descriptor[] =>
  findEntries(index, name, files.description).map(entry => asDescriptor(entry, files.description))

/**
 * The entries of a name. For the empty name, the entries without a name, or else the only entry, as skopeo does.
 * @throws BaleError 'arguments' if there are several and the name is empty
 */
export function findEntries(index: IndexFile, name: string, where: string): readonly Entry[] {
  const named = index.manifests.filter(entry => nameOf(entry) === name)
  if (named.length > 0 || name !== '') return named
  if (index.manifests.length <= 1) return index.manifests
  const names = index.manifests.map(nameOf).slice(0, 20)
  throw new BaleError('arguments', `there are several images: ${names.map(n => JSON.stringify(n)).join(', ')}`, {
    where,
    fix: 'append a colon and one of the names',
  })
}

function asDescriptor(entry: Entry, where: string): Descriptor {
  if (isDescriptor(entry)) return entry
  throw new BaleError('input', `the entry ${JSON.stringify(nameOf(entry))} has no media type, sha256 digest and size`, {
    where: `${where} index.json`,
  })
}

export async function readManifest(files: LayoutFiles, descriptor: Descriptor): Promise<Manifest | Index> {
  return parseManifest(await readBlob(files, descriptor, maxManifest, files.description), files.description)
}

export async function readConfig(
  files: LayoutFiles,
  manifest: Manifest,
  where: string,
): Promise<{ configBytes: Uint8Array; config: ImageConfig }> {
  const configBytes = await readBlob(files, manifest.config, maxConfig, where)
  const config = parseConfig(configBytes, `${where} config`)
  checkLayerCount(manifest, config, where)
  return { configBytes, config }
}

/**
 * The blobs that a document of any kind of artifact refers to: an index's manifests, a manifest's config and layers. Empty for
 * other blobs, and for a blob that is not in the layout (image-layout.md permits that).
 */
export async function readReferences(files: LayoutFiles, descriptor: Descriptor): Promise<Descriptor[]> {
  const { mediaType, size, digest } = descriptor
  const isConfig = mediaType === oci.config || mediaType === docker.config
  if (isConfig || size > maxManifest || !mediaType.endsWith('+json')) return []
  if ((await files.read(blobPath(digest), maxManifest)) === undefined) return []
  const where = `${files.description} ${digest}`
  const document = parseJson(await readBlob(files, descriptor, maxManifest, where), where) as Record<
    string,
    unknown
  > | null
  const { config, layers, manifests, blobs, subject } = document ?? {}
  const references: unknown[] = [config, layers, manifests, blobs, subject].flat()
  return references.filter((r): r is Entry => typeof r === 'object' && r !== null).filter(isDescriptor)
}

function layersOf(files: LayoutFiles, manifest: Manifest, config: ImageConfig): Layer[] {
  return manifest.layers.map(({ digest, size, mediaType }, i) => ({
    kind: 'layer',
    diffId: config.rootfs.diff_ids[i] as Digest,
    digest,
    size,
    mediaType,
    open: signal => files.open(blobPath(digest), size, signal),
  }))
}

/** Reads a blob into memory, up to a limit, and verifies it. */
async function readBlob(
  files: LayoutFiles,
  descriptor: Descriptor,
  maxBytes: number,
  where: string,
): Promise<Uint8Array> {
  const { digest, size } = descriptor
  if (size > maxBytes)
    throw new BaleError('input', `${digest} has ${size} bytes, more than the limit of ${maxBytes}`, { where })
  const bytes = await files.read(blobPath(digest), maxBytes)
  if (bytes === undefined) throw new BaleError('input', `the blob ${digest} is missing`, { where })
  if (bytes.length !== size || digestOf(bytes) !== digest) {
    throw new BaleError('input', `the blob ${digest} is damaged: its content has another digest or size`, {
      where,
      fix: 'make or copy the image again',
    })
  }
  return bytes
}
