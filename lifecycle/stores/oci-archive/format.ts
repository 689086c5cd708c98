import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import { type ImageIndex, isImageIndex } from '../../image/image-index.ts'
import { emptyIndex, entryOf, formatIndexFile, layoutHeader, withName } from '../layout/index-file.ts'
import { type LayoutFiles, blobPath } from '../layout/read.ts'
import type { Archived } from '../archive/file.ts'
import type { ArchiveEntry } from '../archive/tar-bytes.ts'
import type { TarFile } from '../archive/tar-file.ts'

/** The entries of an OCI layout with these images and indexes; `pathOf` returns the path of a layer's blob on the host. */
export function* ociEntries(
  contents: readonly Archived<Image | ImageIndex>[],
  pathOf: (digest: Digest) => string,
): Generator<ArchiveEntry> {
  const blobs = new Map<Digest, ArchiveEntry>()
  let index = emptyIndex
  const addDocument = (digest: Digest, content: Uint8Array): void =>
    void blobs.set(digest, { kind: 'bytes', name: blobPath(digest), content })
  for (const { content, names } of contents) {
    for (const image of isImageIndex(content) ? content.manifests.map(m => m.image) : [content]) {
      for (const { digest, size } of image.manifest.layers) {
        blobs.set(digest, { kind: 'file', name: blobPath(digest), place: { path: pathOf(digest), offset: 0, size } })
      }
      addDocument(image.imageId, image.configBytes)
      addDocument(image.digest, image.manifestBytes)
    }
    if (isImageIndex(content)) addDocument(content.digest, content.bytes)
    for (const name of names.length === 0 ? [''] : names) index = withName(index, name, entryOf(content))
  }
  yield { kind: 'bytes', name: 'oci-layout', content: layoutHeader }
  yield { kind: 'bytes', name: 'index.json', content: formatIndexFile(index) }
  yield { kind: 'directory', name: 'blobs/' }
  yield { kind: 'directory', name: 'blobs/sha256/' }
  for (const [, entry] of [...blobs].sort(([a], [b]) => (a < b ? -1 : 1))) yield entry
}

/** The files of a layout in a tar. */
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
