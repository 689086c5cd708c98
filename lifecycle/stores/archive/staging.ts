import { join } from 'node:path'
import { leaseName } from '../../files/lease.ts'
import type { Digest } from '../../image/digest.ts'
import type { Layer, LayerSource } from '../../image/layer.ts'
import { layerTar } from '../../layers/layer-tar.ts'
import { blobPath } from '../layout/read.ts'
import { layoutStore } from '../layout/store.ts'
import type { OnTransfer } from '../store.ts'
import type { FilePlace } from './tar-file.ts'

/** Layers that are about to be sent or archived, in a temporary directory. Docker's formats want them uncompressed. */
export interface LayerStaging {
  put(layer: LayerSource | Layer, signal?: AbortSignal): Promise<Layer>
  /** The layer as it was put, or undefined. */
  get(diffId: Digest): Layer | undefined
  /** @throws if it was not put */
  placeOf(diffId: Digest): FilePlace
}

export function layerStaging(tmpDir: string, onTransfer?: OnTransfer): LayerStaging {
  const dir = join(tmpDir, `layers-${leaseName()}`)
  const store = layoutStore(dir, { compression: 'none', onTransfer })
  const found = new Map<Digest, Layer>()
  return {
    async put(layer, signal) {
      signal?.throwIfAborted()
      const diffId = layer.kind === 'layer' ? layer.diffId : layer.known?.diffId
      const earlier = diffId === undefined ? undefined : found.get(diffId)
      if (earlier !== undefined) return earlier
      const plain = await store.putLayer(layer.kind === 'layer' ? (layer.source ?? uncompressed(layer)) : layer, signal)
      found.set(plain.diffId, plain)
      return plain
    },
    get: diffId => found.get(diffId),
    placeOf: diffId => ({ path: join(dir, blobPath(diffId)), offset: 0, size: (found.get(diffId) as Layer).size }),
  }
}

function uncompressed(layer: Layer): LayerSource {
  return { kind: 'source', createdBy: layer.digest, tar: signal => layerTar(layer, signal) }
}
