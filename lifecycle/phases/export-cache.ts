import { join } from 'node:path'
import type { Cache, CacheWriter, CachedTree } from '../caches/cache.ts'
import type { BlobInfoCache } from '../caches/blob-info-cache.ts'
import type { Reporter } from '../events.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord } from '../spec/types.ts'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, LayerSource } from '../image/layer.ts'
import { oci } from '../image/media-types.ts'
import { type Located, type NamedSource, type Owner, cachedSbomLayer } from './export-layers.ts'
import type { LayerOnDisk } from './layers-dir.ts'
import { layerFormat } from '../layers/compression/compress.ts'
import { directoryState } from '../files/directories.ts'
import { putKnownLayer } from './known-layers.ts'

interface Input {
  readonly layersDir: Located
  readonly owner: Owner
  readonly features: Pick<PlatformFeatures, 'sbomLayer'>
  readonly reporter: Reporter
  readonly index?: BlobInfoCache
}

/** A buildpack of the group with the layers that it left, and what each one's contents are. */
export interface Contribution {
  readonly buildpack: GroupElement
  readonly layers: readonly LayerOnDisk[]
  readonly sources: ReadonlyMap<LayerOnDisk, NamedSource>
}

/** The next generation of a cache, in the making while layers are exported. */
export interface Caching extends AsyncDisposable {
  readonly cache: Cache
  readonly writer: CacheWriter
}

/** Undefined, and a warning, if the cache cannot be written: the next build takes longer. */
export async function beginCache(
  { cache, reporter }: Pick<Input, 'reporter'> & { readonly cache?: Cache },
  signal?: AbortSignal,
): Promise<Caching | undefined> {
  if (cache === undefined) return undefined
  return unlessRefused(reporter, signal, async () => {
    const writer = await cache.begin(signal)
    return { cache, writer, [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() }
  })
}

/**
 * Stores the cached layers of this build for the next one (buildpack.md, "Cached Layers"). The image is published by
 * now: a cache that cannot be written is a warning.
 * @param exported what is known of layers that are in the image as well
 */
export async function writeCache(
  input: Input,
  { cache, writer }: Caching,
  contributions: readonly Contribution[],
  exported: ReadonlyMap<NamedSource, LayerDigests>,
  signal?: AbortSignal,
): Promise<void> {
  await unlessRefused(input.reporter, signal, async () => {
    const buildpacks: BuildpackLayersMetadata[] = []
    const trees: CachedTree[] = []
    for (const { buildpack, layers, sources } of contributions) {
      const records: Record<string, LayerRecord> = {}
      for (const layer of layers) {
        const named = sources.get(layer)
        if (!layer.types.cache || named === undefined) continue
        const { name, source } = named
        const { diffId, size, reused } = await put(source, exported.get(named), writer, input.index, signal)
        records[layer.name] = { ...layer.types, sha: diffId, data: layer.metadata }
        input.reporter.event({ type: 'cached', action: reused ? 'reused' : 'added', name, size })
        const fingerprint = cache.checkinTrees && (await source.fingerprint?.())
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
    await cache.checkinTrees?.(trees)
    await input.index?.save()
  })
}

async function put(
  source: LayerSource,
  exported: LayerDigests | undefined,
  writer: CacheWriter,
  index: BlobInfoCache | undefined,
  signal?: AbortSignal,
): Promise<{ diffId: Digest; size: number; reused: boolean }> {
  if (exported !== undefined) return writer.put({ ...source, known: exported }, signal)
  return putKnownLayer(source, `cache ${await layerFormat('none')}`, index, async known => {
    const stored = await writer.put(known, signal)
    return { ...stored, digest: stored.diffId, mediaType: oci.layer }
  })
}

async function unlessRefused<T>(
  reporter: Reporter,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    signal?.throwIfAborted()
    const text = `the cache could not be written, so the next build takes longer: ${(error as Error).message}`
    reporter.event({ type: 'warning', text })
    return undefined
  }
}
