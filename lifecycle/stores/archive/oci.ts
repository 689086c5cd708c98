import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import { descriptorOf, emptyIndex, formatIndexFile, layoutHeader, withName } from '../layout/index-file.ts'
import { type LayoutFiles, blobPath } from '../layout/read.ts'
import type { ArchivedImage } from './file.ts'
import type { ArchiveEntry } from './tar-bytes.ts'
import type { TarFile } from './tar-file.ts'

/** The entries of an OCI layout with these images; `pathOf` is where on the host a layer's blob is. */
export function* ociEntries(
  images: readonly ArchivedImage[],
  pathOf: (digest: Digest) => string,
): Generator<ArchiveEntry> {
  const blobs = new Map<Digest, ArchiveEntry>()
  let index = emptyIndex
  for (const { image, names } of images) {
    for (const { digest, size } of image.manifest.layers) {
      blobs.set(digest, { kind: 'file', name: blobPath(digest), place: { path: pathOf(digest), offset: 0, size } })
    }
    blobs.set(image.imageId, { kind: 'bytes', name: blobPath(image.imageId), content: image.configBytes })
    blobs.set(image.digest, { kind: 'bytes', name: blobPath(image.digest), content: image.manifestBytes })
    for (const name of names.length === 0 ? [''] : names) index = withName(index, name, descriptorOf(image))
  }
  yield { kind: 'bytes', name: 'oci-layout', content: layoutHeader }
  yield { kind: 'bytes', name: 'index.json', content: formatIndexFile(index) }
  yield { kind: 'directory', name: 'blobs/' }
  yield { kind: 'directory', name: 'blobs/sha256/' }
  for (const [, entry] of [...blobs].sort(([a], [b]) => (a < b ? -1 : 1))) yield entry
}

/** The files of a layout that is in a tar. */
export function layoutInTar(tar: TarFile, description: string): LayoutFiles {
  return {
    description,
    read: (path, maxBytes) => tar.read(path, maxBytes),
    async *open(path, size, signal) {
      const found = tar.sizeOf(path)
      if (found !== size) {
        const why = found === undefined ? `lacks ${path}` : `has ${found} bytes for ${path} instead of ${size}`
        throw new BaleError('input', `the archive ${why}`, { where: description })
      }
      yield* tar.open(path, signal)
    },
  }
}
