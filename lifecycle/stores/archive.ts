import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { leaseName } from '../files/lease.ts'
import type { Digest } from '../image/digest.ts'
import { parseReference } from '../image/reference.ts'
import { readSavedImage, savedEntries, savedImage } from './archive/docker.ts'
import { archiveFile } from './archive/file.ts'
import { layoutInTar, ociEntries } from './archive/oci.ts'
import { layerStaging } from './archive/staging.ts'
import { openTarFile } from './archive/tar-file.ts'
import { dockerName } from './destination.ts'
import { layoutDirectory } from './layout/directory.ts'
import { blobPath, pullFromLayout, readIndexFile } from './layout/read.ts'
import { layoutStore } from './layout/store.ts'
import type { ImageStore, OnTransfer, Packing } from './store.ts'

export interface ArchiveOptions {
  /** Where layers wait until the archive is written. Whoever opens the store deletes it afterwards. */
  readonly tmpDir: string
  readonly onTransfer?: OnTransfer
}

/**
 * An OCI layout in a tar (`oci-archive:` of skopeo). What is in the file can be pulled; the first image that is put
 * replaces all of it, and further ones join that one. The file is always whole: it is written elsewhere and renamed.
 */
export function ociArchiveStore(file: string, options: ArchiveOptions & Packing): ImageStore {
  const description = `oci-archive:${file}`
  const dir = join(options.tmpDir, `oci-archive-${leaseName()}`)
  const layers = layoutStore(dir, { ...options, description })
  const staging = layoutDirectory(dir, description)
  const archive = archiveFile(file, images => ociEntries(images, digest => join(dir, blobPath(digest))))
  return {
    description,
    async pull(name, platform, signal) {
      signal?.throwIfAborted()
      const tar = await openTarFile(archive.path, signal)
      if (tar === undefined) return undefined
      const files = layoutInTar(tar, description)
      const index = tar.has('oci-layout') ? await readIndexFile(files) : undefined
      if (index === undefined) throw new BaleError('input', 'it is not an OCI archive', { where: archive.path })
      return pullFromLayout(files, index, name, platform, signal)
    },
    async checkWrite(names, signal) {
      await layers.checkWrite(names, signal)
      await archive.checkWrite(signal)
    },
    putLayer: (layer, signal) => layers.putLayer(layer, signal),
    async putImage(image, names, signal) {
      signal?.throwIfAborted()
      for (const { digest, size } of image.manifest.layers) {
        if (!(await staging.hasBlob(digest, size))) unknownLayer(digest, description)
      }
      return archive.put(image, names, signal)
    },
  }
}

/** The format of `docker save` (`docker-archive:` of skopeo); otherwise like `ociArchiveStore`. */
export function dockerArchiveStore(file: string, options: ArchiveOptions): ImageStore {
  const description = `docker-archive:${file}`
  const layers = layerStaging(options.tmpDir, options.onTransfer)
  const archive = archiveFile(file, images => savedEntries(images, diffId => layers.placeOf(diffId)))
  return {
    description,
    async pull(name, _platform, signal) {
      signal?.throwIfAborted()
      const tar = await openTarFile(archive.path, signal)
      const saved = tar && (await readSavedImage(tar, normalised(name), archive.path, signal))
      return saved?.image
    },
    async checkWrite(names, signal) {
      names.forEach(normalised)
      await archive.checkWrite(signal)
    },
    putLayer: (layer, signal) => layers.put(layer, signal),
    async putImage(image, names, signal) {
      signal?.throwIfAborted()
      const staged = image.layers.map(({ diffId }) => layers.get(diffId) ?? unknownLayer(diffId, description))
      return archive.put(savedImage(image.configBytes, image.config, staged), names.map(normalised), signal)
    },
  }
}

const normalised = (name: string): string => (name === '' ? '' : dockerName(parseReference(name)))

function unknownLayer(digest: Digest, where: string): never {
  throw new BaleError('failed', `the layer ${digest} was not put into the archive, so no image can be made of it`, {
    where,
  })
}
