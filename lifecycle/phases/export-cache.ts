import { join } from 'node:path'
import type { Cache } from '../caches/cache.ts'
import type { Reporter } from '../events.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord } from '../spec/types.ts'
import { type Located, type Owner, buildpackLayer, cachedSbomLayer } from './export-layers.ts'
import type { LayerOnDisk } from './layers-dir.ts'
import { directoryState } from './read-file.ts'

interface Input {
  readonly layersDir: Located
  readonly owner: Owner
  readonly reporter: Reporter
}

/**
 * Stores the cached layers of this build for the next one (buildpack.md, "Cached Layers"). The image is published by
 * now: a cache that cannot be written is a warning, and the next build takes longer.
 */
export async function writeCache(
  input: Input,
  cache: Cache,
  contributions: readonly { buildpack: GroupElement; layers: readonly LayerOnDisk[] }[],
  signal?: AbortSignal,
): Promise<void> {
  try {
    await using writer = await cache.begin(signal)
    const buildpacks: BuildpackLayersMetadata[] = []
    for (const { buildpack, layers } of contributions) {
      const records: Record<string, LayerRecord> = {}
      for (const layer of layers) {
        if (!layer.types.cache || !layer.exists) continue
        const { name, source } = buildpackLayer(input.layersDir, buildpack, layer, input.owner, input.reporter)
        const { diffId, size, reused } = await writer.put(source, signal)
        records[layer.name] = { ...layer.types, sha: diffId, data: layer.metadata }
        input.reporter.event({ type: 'cached', action: reused ? 'reused' : 'added', name, size })
      }
      buildpacks.push({ key: buildpack.id, version: buildpack.version, layers: records })
    }
    const hasSboms = (await directoryState(join(input.layersDir.host, 'sbom'))) === 'directory'
    const sbom = hasSboms
      ? await writer.put(cachedSbomLayer(input.layersDir, input.owner, input.reporter), signal)
      : undefined
    await writer.commit({ buildpacks, ...(sbom && { sbom: { sha: sbom.diffId } }) })
  } catch (error) {
    signal?.throwIfAborted()
    input.reporter.event({
      type: 'warning',
      text: `the cache could not be written, so the next build takes longer: ${(error as Error).message}`,
    })
  }
}
