import type { Image } from '../../image/image.ts'
import { parseReference } from '../../image/reference.ts'
import { type ArchiveOptions, archiveFile, unknownLayer } from '../archive/file.ts'
import { layerStaging } from '../archive/staging.ts'
import { openTarFile } from '../archive/tar-file.ts'
import { dockerName } from '../docker-name.ts'
import type { ImageStore } from '../store.ts'
import { readSavedImage, savedEntries, savedImage } from './format.ts'

/** A tar in the format of `docker save` (skopeo's `docker-archive:`), written like the file of `ociArchiveStore`. */
export function dockerArchiveStore(file: string, options: ArchiveOptions): ImageStore {
  const description = `docker-archive:${file}`
  const layers = layerStaging(options.tmpDir, options.onTransfer)
  const archive = archiveFile<Image>(file, images => savedEntries(images, diffId => layers.placeOf(diffId)))
  return {
    description,
    async pull(name, _platform, signal) {
      signal?.throwIfAborted()
      const tar = await openTarFile(archive.path, signal)
      const saved = tar && (await readSavedImage(tar, normalised(name), archive.path, signal))
      return saved?.image
    },
    // The format has no indexes: every name is an image.
    pullIndex: () => Promise.resolve(undefined),
    async checkWrite(names, signal) {
      names.forEach(normalised)
      await archive.checkWrite(signal)
    },
    putLayer: (layer, signal) => layers.put(layer, signal),
    async putImage(image, names, signal) {
      signal?.throwIfAborted()
      const staged = image.layers.map(({ diffId }) => layers.get(diffId) ?? unknownLayer(diffId, description))
      const saved = savedImage(image.configBytes, image.config, staged)
      const given = names.map(normalised)
      await archive.put(saved, given, signal)
      return { imageId: saved.imageId, names: given }
    },
  }
}

const normalised = (name: string): string => (name === '' ? '' : dockerName(parseReference(name)))
