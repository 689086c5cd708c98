import { join } from 'node:path'
import type { BuildCache } from '../caches/build-cache.ts'
import type { Reporter } from '../events.ts'
import { directoryState } from '../files/directories.ts'
import type { LayerDigests } from '../image/layer.ts'
import type { Owner } from '../layers/tree/entries.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord } from '../spec/types.ts'
import { type Located, type NamedSource, cachedSbomLayer } from './export-layers.ts'
import type { LayerOnDisk } from './layers-dir.ts'

interface Input {
  readonly layersDir: Located
  readonly owner: Owner
  readonly features: Pick<PlatformFeatures, 'sbomLayer'>
  readonly reporter: Reporter
}

/** A buildpack of the group with its layers and their contents. */
export interface Contribution {
  readonly buildpack: GroupElement
  readonly layers: readonly LayerOnDisk[]
  readonly sources: ReadonlyMap<LayerOnDisk, NamedSource>
}

/**
 * Stores the cached layers of this build for the next one (buildpack.md, "Cached Layers").
 * @param exported results for the layers that are also in the image
 */
export async function writeCache(
  { layersDir, owner, features, reporter }: Input,
  cache: BuildCache,
  contributions: readonly Contribution[],
  exported: ReadonlyMap<NamedSource, LayerDigests>,
  signal?: AbortSignal,
): Promise<void> {
  await cache.commit(async keep => {
    const buildpacks: BuildpackLayersMetadata[] = []
    for (const { buildpack, layers, sources } of contributions) {
      const records: Record<string, LayerRecord> = {}
      for (const layer of layers) {
        const named = sources.get(layer)
        if (!layer.types.cache || named === undefined) continue
        const stored = await keep(named.source, { exported: exported.get(named), dir: layer.dir })
        records[layer.name] = { ...layer.types, sha: stored.diffId, data: layer.metadata }
        const action = stored.reused ? 'reused' : 'added'
        reporter.event({ type: 'cached', action, name: named.name, size: stored.size })
      }
      buildpacks.push({ key: buildpack.id, version: buildpack.version, layers: records })
    }
    const hasSboms = features.sbomLayer && (await directoryState(join(layersDir.host, 'sbom'))) === 'directory'
    const sbom = hasSboms ? await keep(cachedSbomLayer(layersDir, owner, reporter), {}) : undefined
    return { buildpacks, ...(sbom && { sbom: { sha: sbom.diffId } }) }
  }, signal)
}
