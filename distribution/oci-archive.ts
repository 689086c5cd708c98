import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { leaseName } from '../lifecycle/files/lease.ts'
import type { Image } from '../lifecycle/image/image.ts'
import { makeImageIndex } from '../lifecycle/image/image-index.ts'
import { type ImagePlan, storeLayers } from '../lifecycle/platform/builders/image-plan.ts'
import { ociArchiveStore } from '../lifecycle/stores/oci-archive/store.ts'
import { indexSink } from '../lifecycle/stores/store.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'

/**
 * Writes an OCI archive with one named image: an index of the same image for several architectures (image-spec
 * image-index.md). The same layers give the same bytes.
 */
export async function writeOciArchive(file: string, name: string, plans: readonly ImagePlan[]): Promise<void> {
  const tmpDir = join(dirname(file), leaseName())
  try {
    const store = ociArchiveStore(file, { tmpDir })
    const images: Image[] = []
    for (const plan of plans) images.push(await storeLayers(plan, store))
    await indexSink(store).putIndex(makeImageIndex(images), [name])
  } finally {
    rmSync(tmpDir, { recursive: true, force: true })
  }
}

/** Writes an OCI image layout with one image without a name. */
export async function writeLayout(dir: string, plan: ImagePlan): Promise<void> {
  const store = layoutStore(dir)
  await store.putImage(await storeLayers(plan, store), [''])
}
