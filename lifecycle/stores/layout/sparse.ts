import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Image } from '../../image/image.ts'
import { emptyIndex, entryOf, formatIndexFile, layoutHeader, withName } from './index-file.ts'
import { blobPath } from './read.ts'

/**
 * Writes manifest and config of an image to an OCI layout, as its only image. Adds no layers: readers in the lifecycle
 * get missing layers elsewhere (platform.md, "restorer" and "extender").
 */
export async function writeSparseLayout(dir: string, image: Image): Promise<void> {
  const index = withName(emptyIndex, '', entryOf(image))
  const files: readonly (readonly [string, Uint8Array])[] = [
    [blobPath(image.imageId), image.configBytes],
    [blobPath(image.digest), image.manifestBytes],
    ['index.json', formatIndexFile(index)],
    ['oci-layout', layoutHeader],
  ]
  for (const [name, bytes] of files) {
    const path = join(dir, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
}
