import { join } from 'node:path'
import type { Cache, KeptTree } from '../caches/cache.ts'
import type { LayerIndex } from '../caches/layer-index.ts'
import type { Reporter } from '../events.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord } from '../spec/types.ts'
import { oci } from '../image/media-types.ts'
import { type Located, type NamedSource, type Owner, cachedSbomLayer } from './export-layers.ts'
import type { LayerOnDisk } from './layers-dir.ts'
import { layerFormat } from '../layers/compress.ts'
import { directoryState } from '../files/directories.ts'
import { putRemembered } from './remember.ts'

interface Input {
  readonly layersDir: Located
  readonly owner: Owner
  readonly features: Pick<PlatformFeatures, 'sbomLayer'>
  readonly reporter: Reporter
  readonly index?: LayerIndex
}

/** A buildpack of the group with the layers that it left, and what each one's contents are. */
export interface Contribution {
  readonly buildpack: GroupElement
  readonly layers: readonly LayerOnDisk[]
  readonly sources: ReadonlyMap<LayerOnDisk, NamedSource>
}

/**
 * Stores the cached layers of this build for the next one (buildpack.md, "Cached Layers"). The image is published by
 * now: a cache that cannot be written is a warning, and the next build takes longer.
 */
export async function writeCache(
  input: Input,
  cache: Cache,
  contributions: readonly Contribution[],
  signal?: AbortSignal,
): Promise<void> {
  try {
    await using writer = await cache.begin(signal)
    const buildpacks: BuildpackLayersMetadata[] = []
    const trees: KeptTree[] = []
    const purpose = `cache ${await layerFormat('none')}`
    for (const { buildpack, layers, sources } of contributions) {
      const records: Record<string, LayerRecord> = {}
      for (const layer of layers) {
        const named = sources.get(layer)
        if (!layer.types.cache || named === undefined) continue
        const { name, source } = named
        const { diffId, size, reused } = await putRemembered(source, purpose, input.index, async known => {
          const stored = await writer.put(known, signal)
          return { ...stored, digest: stored.diffId, mediaType: oci.layer }
        })
        records[layer.name] = { ...layer.types, sha: diffId, data: layer.metadata }
        input.reporter.event({ type: 'cached', action: reused ? 'reused' : 'added', name, size })
        const fingerprint = cache.keepTrees && (await source.fingerprint?.())
        if (fingerprint) trees.push({ diffId, path: layer.dir, fingerprint: fingerprint.tree })
      }
      buildpacks.push({ key: buildpack.id, version: buildpack.version, layers: records })
    }
    const hasSboms =
      input.features.sbomLayer && (await directoryState(join(input.layersDir.host, 'sbom'))) === 'directory'
    const sbom = hasSboms
      ? await writer.put(cachedSbomLayer(input.layersDir, input.owner, input.reporter), signal)
      : undefined
    await writer.commit({ buildpacks, ...(sbom && { sbom: { sha: sbom.diffId } }) })
    await cache.keepTrees?.(trees)
    await input.index?.save()
  } catch (error) {
    signal?.throwIfAborted()
    input.reporter.event({
      type: 'warning',
      text: `the cache could not be written, so the next build takes longer: ${(error as Error).message}`,
    })
  }
}
