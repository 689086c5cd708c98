import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { Descriptor, Manifest } from '../../image/manifest.ts'
import { isIndex, isManifest } from '../../image/media-types.ts'
import { type IndexFile, isDescriptor, nameOf } from './index-file.ts'
import { type LayoutFiles, readConfig, readManifest } from './read.ts'

export interface ListedImage {
  readonly name: string
  readonly digest: Digest
  /** The config's date, RFC 3339. Absent for an index, and for an unreadable image. */
  readonly created?: string
  /** The total bytes of all blobs that the name refers to. A blob that several images share counts for each. */
  readonly size: number
}

export async function listImages(files: LayoutFiles, index: IndexFile): Promise<ListedImage[]> {
  const images: ListedImage[] = []
  for (const entry of index.manifests) {
    const name = nameOf(entry)
    if (name !== '' && isDescriptor(entry))
      images.push({ name, digest: entry.digest, ...(await measure(files, entry)) })
  }
  return images.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Lists a damaged image with its known data, so that it can be removed and does not hide the others. */
async function measure(files: LayoutFiles, descriptor: Descriptor): Promise<{ size: number; created?: string }> {
  const { mediaType, size } = descriptor
  if (!isIndex(mediaType) && !isManifest(mediaType)) return { size }
  try {
    const document = await readManifest(files, descriptor)
    if ('manifests' in document) {
      const sizes = await Promise.all(
        document.manifests.filter(d => isManifest(d.mediaType)).map(d => measure(files, d)),
      )
      return { size: sizes.reduce((sum, one) => sum + one.size, size) }
    }
    const { created } = (await readConfig(files, document, files.description)).config
    return { size: size + blobSize(document), created }
  } catch (error) {
    if (error instanceof BaleError && error.code === 'input') return { size }
    throw error
  }
}

function blobSize({ config, layers }: Manifest): number {
  return layers.reduce((sum, layer) => sum + layer.size, config.size)
}
