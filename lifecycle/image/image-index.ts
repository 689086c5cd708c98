import { BaleError } from '../errors.ts'
import { type Digest, digestOf } from './digest.ts'
import { type Image, type ManifestFormat, sizeOf } from './image.ts'
import type { Descriptor, Index, Platform } from './manifest.ts'
import { docker, isDockerManifest, isIndex, isManifest, oci } from './media-types.ts'

/** An image of an index: the same application for one platform. */
export interface IndexedImage {
  readonly image: Image
  /** The platform in the index; absent if the index names none. */
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * An index of images for several platforms (image-spec image-index.md; Docker's manifest list). A value, like `Image`:
 * the bytes are kept as they were read, and a changed index is a new value made by `makeImageIndex`.
 */
export interface ImageIndex {
  readonly document: Index
  /** The digest of the document's bytes. */
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly manifests: readonly IndexedImage[]
  /** Entries that are not images of a platform: attestations, signatures, further indexes. Their contents are not read. */
  readonly others: readonly Descriptor[]
}

export const isImageIndex = (content: Image | ImageIndex): content is ImageIndex => 'manifests' in content

/**
 * Makes the index of these images, in this order. An entry has its image's own platform unless it names one. If every
 * image has Docker's media types, it is a Docker manifest list, unless a format is given.
 */
export function makeImageIndex(
  images: readonly (Image | IndexedImage)[],
  annotations?: Readonly<Record<string, string>>,
  format?: ManifestFormat,
): ImageIndex {
  const manifests = images.map((one): IndexedImage => {
    if (!('image' in one)) return { image: one, platform: platformOf(one) }
    return { ...one, platform: one.platform ?? platformOf(one.image) }
  })
  const allDocker = manifests.length > 0 && manifests.every(m => isDockerManifest(m.image.manifest.mediaType))
  const isDocker = format === undefined ? allDocker : format === 'docker'
  const document: Index = {
    schemaVersion: 2,
    mediaType: isDocker ? docker.index : oci.index,
    manifests: manifests.map(descriptorOf),
    annotations,
  }
  return assembleImageIndex(new TextEncoder().encode(JSON.stringify(document)), document, manifests)
}

/** Makes the value of a read index: its bytes, their parsed and validated value, and what `readIndexed` returned. */
export function assembleImageIndex(bytes: Uint8Array, document: Index, manifests: readonly IndexedImage[]): ImageIndex {
  const others = document.manifests.filter(entry => !isImageEntry(entry))
  return { document, digest: digestOf(bytes), bytes, manifests, others }
}

/**
 * Reads the images of an index, one after another.
 * @throws BaleError 'failed', which names the entry with a damaged or invalid image: the index itself is valid
 */
export async function readIndexed(
  document: Index,
  read: (entry: Descriptor) => Promise<Image>,
): Promise<IndexedImage[]> {
  const images: IndexedImage[] = []
  for (const entry of document.manifests.filter(isImageEntry)) {
    const { digest, platform, annotations } = entry
    const image = await read(entry).catch((cause: unknown) => {
      if (!(cause instanceof BaleError && cause.code === 'input')) throw cause
      const why = `the index names ${digest}, which cannot be used: ${cause.message}`
      throw new BaleError('failed', why, { where: cause.where, cause })
    })
    images.push({ image, platform, annotations })
  }
  return images
}

/**
 * BuildKit stores an image's attestations beside it, as a manifest for the platform `unknown/unknown`
 * (docs.docker.com, "Attestation storage").
 */
function isImageEntry({ mediaType, platform, annotations }: Descriptor): boolean {
  const isAttestation = annotations?.['vnd.docker.reference.type'] !== undefined
  return isManifest(mediaType) && !isAttestation && platform?.os !== 'unknown'
}

/** The size of everything that a store keeps for the index, in bytes. A layer that images share counts for each. */
export function sizeOfIndex({ bytes, manifests }: ImageIndex): number {
  return manifests.reduce((sum, { image }) => sum + sizeOf(image), bytes.length)
}

/** The descriptor of an image in an index. */
export function descriptorOf({ image, platform = platformOf(image), annotations }: IndexedImage): Descriptor {
  const { mediaType } = image.manifest
  return { mediaType, digest: image.digest, size: image.manifestBytes.length, platform, annotations }
}

/** The platform in the image's config (image-spec config.md). */
export function platformOf({ config }: Image): Platform {
  const { os, architecture, variant } = config
  return { os, architecture, variant, ...(config['os.version'] && { 'os.version': config['os.version'] }) }
}

/**
 * Checks that an index consists only of images, since stores write only their input.
 * @throws BaleError 'failed' for an index that was read and has other entries
 */
export function requireImagesOnly({ others }: ImageIndex, where: string): void {
  const [other] = others
  if (other === undefined) return
  const what = isIndex(other.mediaType) ? 'another index' : 'an attestation or another artifact'
  throw new BaleError('failed', `the index has an entry that is ${what}: ${other.digest}`, { where })
}
