import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cache } from '../caches/cache.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { isDigest } from '../image/digest.ts'
import { compressionOf } from '../image/media-types.ts'
import { decompress, verified } from '../layers/compress.ts'
import { unpackTree } from '../layers/unpack.ts'
import { checkLayerName, escapeId } from '../spec/ids.ts'
import { formatLayerToml } from '../spec/layer.ts'
import { formatStore } from '../spec/store.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord } from '../spec/types.ts'
import type { PreviousImage } from './analyze.ts'
import { buildpackLayersDir } from './layers-dir.ts'
import { restoreSboms } from './sbom.ts'

export interface RestoreInput {
  /** Where the layers directory is, and what it is called in the image and the cache. */
  readonly layersDir: { readonly host: string; readonly image: string }
  readonly group: readonly GroupElement[]
  readonly previous?: PreviousImage
  readonly cache?: Cache
  readonly reporter: Reporter
}

/** Where a layer's records are: in the previous image, in the cache, or both. */
interface Known {
  readonly id: string
  readonly name: string
  readonly image?: LayerRecord
  readonly cached?: LayerRecord
}

/**
 * Brings back what earlier builds left for the buildpacks of the group (buildpack.md, "Layer Types"; platform.md, "Layer
 * Restoration"): store.toml, the metadata and SBOM of launch layers, and metadata, SBOM and contents of cached layers.
 * Nothing that is wrong with a cache is an error: the layer is dropped with a warning and its buildpack makes it again.
 */
export async function restore(input: RestoreInput, signal?: AbortSignal): Promise<void> {
  const { previous, cache } = input
  const cached = await cache?.metadata(signal)
  const sbomDirs = await unpackSboms(input, cached?.sbom?.sha, signal)
  for (const { id } of input.group) {
    const ofImage = previous?.metadata.buildpacks.find(b => b.key === id)
    const ofCache = cached?.buildpacks.find(b => b.key === id)
    const dir = buildpackLayersDir(input.layersDir.host, id)
    await mkdir(dir, { recursive: true })
    if (ofImage?.store !== undefined) await writeFile(join(dir, 'store.toml'), formatStore(ofImage.store))
    for (const known of knownLayers(id, ofImage, ofCache)) {
      const restored = await restoreLayer(known, input, signal)
      if (restored) for (const sbomDir of sbomDirs) await restoreSboms(sbomDir, input.layersDir.host, id, known.name)
    }
  }
  for (const dir of sbomDirs) await rm(dir, { recursive: true, force: true })
}

function knownLayers(id: string, image?: BuildpackLayersMetadata, cache?: BuildpackLayersMetadata): Known[] {
  const names = new Set([...Object.keys(image?.layers ?? {}), ...Object.keys(cache?.layers ?? {})])
  return [...names].sort().map(name => {
    checkLayerName(name, `previous build of ${id}`)
    const ofImage = image?.layers[name]
    const ofCache = cache?.layers[name]
    return {
      id,
      name,
      ...(ofImage !== undefined && { image: ofImage }),
      ...(ofCache !== undefined && { cached: ofCache }),
    }
  })
}

/** Restores one layer as the table in buildpack.md, "Layer Types", says; whether it restored anything. */
async function restoreLayer(known: Known, input: RestoreInput, signal?: AbortSignal): Promise<boolean> {
  const { id, name, image, cached } = known
  const label = `${id}:${name}`
  const toml = join(buildpackLayersDir(input.layersDir.host, id), `${name}.toml`)
  if (cached?.cache === true && input.cache !== undefined) {
    // A layer of both kinds must be the one in the app image: metadata of one and contents of another would be a lie.
    const stale = cached.launch && image !== undefined && image.sha !== cached.sha
    if (!stale && (await restoreContents(known, cached, input, signal))) {
      await writeFile(toml, formatLayerToml(cached.data))
      input.reporter.event({ type: 'restored', what: 'data', name: label, from: 'cache' })
      return true
    }
    return false
  }
  if (image === undefined || !image.launch || image.build || image.cache) return false
  await writeFile(toml, formatLayerToml(image.data))
  input.reporter.event({ type: 'restored', what: 'metadata', name: label, from: 'image' })
  return true
}

async function restoreContents(
  known: Known,
  record: LayerRecord,
  input: RestoreInput,
  signal?: AbortSignal,
): Promise<boolean> {
  const { id, name } = known
  const from = `${input.layersDir.image}/${escapeId(id)}/${name}`
  const to = join(buildpackLayersDir(input.layersDir.host, id), name)
  try {
    if (!isDigest(record.sha)) throw new BaleError('input', 'its record holds no digest')
    if ((await input.cache?.takeTree?.(record.sha, to)) === true) return true
    const tar = await input.cache?.open(record.sha, signal)
    if (tar === undefined) throw new BaleError('input', 'it is not in the cache')
    await unpackTree(verified(tar, { digest: record.sha }), { from, to, ...(signal && { signal }) })
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    input.reporter.event({
      type: 'warning',
      text: `the cached layer ${id}:${name} is dropped and will be made again: ${error.message}`,
    })
    return false
  }
}

/** Unpacks the SBOM layers of the previous image and of the cache; where each one is now. */
async function unpackSboms(
  input: RestoreInput,
  cachedSha: string | undefined,
  signal?: AbortSignal,
): Promise<string[]> {
  const dirs: string[] = []
  const take = async (what: string, tar: AsyncIterable<Uint8Array> | undefined): Promise<void> => {
    if (tar === undefined) return
    const to = join(input.layersDir.host, `.sbom-${what}`)
    try {
      await unpackTree(tar, { from: `${input.layersDir.image}/sbom`, to, ...(signal && { signal }) })
      dirs.push(to)
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BaleError)) throw error
      input.reporter.event({
        type: 'warning',
        text: `the SBOM files of the ${what} cannot be restored: ${error.message}`,
      })
    }
  }
  const sha = input.previous?.metadata.sbom?.sha
  const layer = input.previous?.image.layers.find(l => l.diffId === sha)
  const compression = layer === undefined ? undefined : compressionOf(layer.mediaType)
  if (layer !== undefined && compression !== undefined) {
    await take('image', verified(decompress(layer.open(signal), compression), { digest: layer.diffId }))
  }
  if (isDigest(cachedSha)) {
    const tar = await input.cache?.open(cachedSha, signal)
    await take('cache', tar && verified(tar, { digest: cachedSha }))
  }
  return dirs
}
