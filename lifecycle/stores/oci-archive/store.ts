import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { leaseName } from '../../files/lease.ts'
import type { Image } from '../../image/image.ts'
import { type ImageIndex, requireImagesOnly } from '../../image/image-index.ts'
import { type ArchiveOptions, archiveFile, unknownLayer } from '../archive/file.ts'
import { layoutInTar, ociEntries } from './format.ts'
import { openTarFile } from '../archive/tar-file.ts'
import type { IndexFile } from '../layout/index-file.ts'
import { layoutDirectory } from '../layout/directory.ts'
import { type LayoutFiles, blobPath, pullFromLayout, pullIndexFromLayout, readIndexFile } from '../layout/read.ts'
import { layoutStore } from '../layout/store.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { ImageStore } from '../store.ts'

/**
 * An OCI layout in a tar (skopeo's `oci-archive:`). Images in the file can be pulled. The first image that is put replaces the
 * file; further ones are added to it. The file is written under another name and renamed, so it is always complete.
 */
export function ociArchiveStore(file: string, options: ArchiveOptions & Packing): ImageStore {
  const description = `oci-archive:${file}`
  const dir = join(options.tmpDir, `oci-archive-${leaseName()}`)
  const layers = layoutStore(dir, { ...options, description })
  const staging = layoutDirectory(dir, description)
  const archive = archiveFile<Image | ImageIndex>(file, all => ociEntries(all, digest => join(dir, blobPath(digest))))
  /** Undefined if there is no such file. */
  const open = async (signal?: AbortSignal): Promise<{ files: LayoutFiles; index: IndexFile } | undefined> => {
    signal?.throwIfAborted()
    const tar = await openTarFile(archive.path, signal)
    if (tar === undefined) return undefined
    const files = layoutInTar(tar, description)
    const index = tar.has('oci-layout') ? await readIndexFile(files) : undefined
    if (index === undefined) throw new BaleError('input', 'it is not an OCI archive', { where: archive.path })
    return { files, index }
  }
  const requireLayers = async (image: Image): Promise<void> => {
    for (const { digest, size } of image.manifest.layers) {
      if (!(await staging.hasBlob(digest, size))) unknownLayer(digest, description)
    }
  }
  return {
    description,
    async pull(name, platform, signal) {
      const found = await open(signal)
      return found && pullFromLayout(found.files, found.index, name, platform, signal)
    },
    async pullIndex(name, signal) {
      const found = await open(signal)
      return found && pullIndexFromLayout(found.files, found.index, name, signal)
    },
    async checkWrite(names, signal) {
      await layers.checkWrite(names, signal)
      await archive.checkWrite(signal)
    },
    putLayer: (layer, signal) => layers.putLayer(layer, signal),
    async putImage(image, names, signal) {
      signal?.throwIfAborted()
      await requireLayers(image)
      await archive.put(image, names, signal)
      return { digest: image.digest, imageId: image.imageId, manifestSize: image.manifestBytes.length, names }
    },
    async putIndex(index, names, signal) {
      signal?.throwIfAborted()
      requireImagesOnly(index, description)
      for (const { image } of index.manifests) await requireLayers(image)
      await archive.put(index, names, signal)
      return { digest: index.digest, manifestSize: index.bytes.length, names }
    },
  }
}
