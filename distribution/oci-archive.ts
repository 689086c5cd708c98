import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { leaseName } from '../lifecycle/files/lease.ts'
import { stageFile } from '../lifecycle/files/staged.ts'
import { type Digest, digestOf, hexOf } from '../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../lifecycle/image/image.ts'
import type { Layer, LayerSource } from '../lifecycle/image/layer.ts'
import type { Index } from '../lifecycle/image/manifest.ts'
import { oci } from '../lifecycle/image/media-types.ts'
import type { ImageConfig } from '../lifecycle/image/config.ts'
import { type ArchiveEntry, tarBytes } from '../lifecycle/stores/archive/tar-bytes.ts'
import { descriptorOf, emptyIndex, formatIndexFile, layoutHeader, withName } from '../lifecycle/stores/layout/index-file.ts' // prettier-ignore
import { blobPath } from '../lifecycle/stores/layout/read.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'

/** An image still to be made: its layers, and the config that goes with them; the rootfs comes from the layers. */
export interface ImagePlan {
  readonly layers: readonly LayerSource[]
  config(layers: readonly Layer[]): ImageConfig
}

/**
 * Writes an OCI archive (an image layout in a tar) with one image of that name: an index of the same thing for several
 * architectures (image-spec image-index.md). The file appears when it is whole; its bytes are the layers', the same each time.
 */
export async function writeOciArchive(file: string, name: string, plans: readonly ImagePlan[]): Promise<void> {
  const dir = join(dirname(file), leaseName())
  mkdirSync(dir)
  try {
    const store = layoutStore(dir)
    const images: Image[] = []
    for (const plan of plans) {
      const layers: Layer[] = []
      for (const layer of plan.layers) layers.push(await store.putLayer(layer))
      const image = makeImage(plan.config(layers), layers)
      await store.putImage(image, [image.config.architecture])
      images.push(image)
    }
    const index: Index = { schemaVersion: 2, mediaType: oci.index, manifests: images.map(descriptorOf) }
    await using staged = await stageFile(dirname(file))
    for await (const block of tarBytes(entries(dir, name, index))) await staged.write(block)
    await staged.commit(file)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function* entries(dir: string, name: string, index: Index): Generator<ArchiveEntry> {
  const content = new TextEncoder().encode(JSON.stringify(index))
  const own = { mediaType: index.mediaType, digest: digestOf(content), size: content.length }
  yield { name: 'oci-layout', kind: 'bytes', content: layoutHeader }
  yield { name: 'index.json', kind: 'bytes', content: formatIndexFile(withName(emptyIndex, name, own)) }
  for (const folder of ['blobs/', 'blobs/sha256/']) yield { name: folder, kind: 'directory' }
  for (const hex of [...readdirSync(join(dir, 'blobs/sha256')), hexOf(own.digest)].sort()) {
    const digest: Digest = `sha256:${hex}`
    const path = join(dir, blobPath(digest))
    if (digest === own.digest) yield { name: blobPath(digest), kind: 'bytes', content }
    else yield { name: blobPath(digest), kind: 'file', place: { path, offset: 0, size: statSync(path).size } }
  }
}
