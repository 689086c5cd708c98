import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildCache } from '../caches/build-cache.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { isDigest } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import type { Owner } from '../layers/tree/entries.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { checkLayerName, escapeId } from '../spec/ids.ts'
import { formatLayerToml } from '../spec/layer.ts'
import { formatStore } from '../spec/store.ts'
import type { BuildpackLayersMetadata, GroupElement, LayerRecord, LayersMetadata } from '../spec/types.ts'
import type { Located } from './export-layers.ts'
import { buildpackLayersDir } from './layers-dir.ts'
import { directoryState } from '../files/directories.ts'
import { restoreSboms, sbomTarOf, unpackSboms } from './sbom.ts'
import { removeWithin, writeAnew } from './write-file.ts'

export interface RestoreInput {
  /** The path of the layers directory, on disk and in the image and the cache. */
  readonly layersDir: Located
  readonly group: readonly GroupElement[]
  /** The source of SBOM files: the image or, if analyze has unpacked them, `<layers>/sbom`. */
  readonly previous?: { readonly metadata: LayersMetadata; readonly image?: Image } | undefined
  readonly cache?: BuildCache | undefined
  /** The owner of restored layers. Set if root restores for the buildpacks' user. */
  readonly owner?: Owner | undefined
  /** Restores only store.toml, if the API restores it at all. */
  readonly skipLayers?: boolean
  readonly features: Pick<PlatformFeatures, 'restoresWithoutAppImage' | 'sbomLayer' | 'storeAlwaysRestored'>
  readonly reporter: Reporter
}

/** The records of a layer: in the previous image, in the cache, or both. */
interface Known {
  readonly id: string
  readonly name: string
  readonly image?: LayerRecord
  readonly cached?: LayerRecord
}

/**
 * Restores the data of earlier builds for the buildpacks of the group (buildpack.md, "Layer Types"; platform.md, "Layer
 * Restoration"): store.toml, the metadata and SBOM of launch layers, and metadata, SBOM and contents of cached layers. A
 * fault in a cache is never an error: Bale drops the layer with a warning, and its buildpack makes it again.
 */
export async function restore(input: RestoreInput, signal?: AbortSignal): Promise<void> {
  await wrapErrno(input.layersDir.host, () => restoreAll(input, signal))
}

async function restoreAll(input: RestoreInput, signal?: AbortSignal): Promise<void> {
  const { previous, features, skipLayers = false } = input
  const cached = skipLayers ? undefined : await input.cache?.metadata(signal)
  const sbomDirs = features.sbomLayer && !skipLayers ? await findSbomDirs(input, cached?.sbom?.sha, signal) : []
  for (const { id } of input.group) {
    const ofImage = previous?.metadata.buildpacks.find(b => b.key === id)
    const ofCache = cached?.buildpacks.find(b => b.key === id)
    const dir = buildpackLayersDir(input.layersDir.host, id)
    if ((await directoryState(dir)) === 'absent') await mkdir(dir, { recursive: true })
    if (ofImage?.store !== undefined && (features.storeAlwaysRestored || !skipLayers))
      writeAnew(join(dir, 'store.toml'), formatStore(ofImage.store), input.layersDir.host)
    if (skipLayers) continue
    for (const known of knownLayers(id, ofImage, ofCache)) {
      if (!isUsable(known, input.reporter)) continue
      const restored = await restoreLayer(known, input, signal)
      if (restored) for (const sbomDir of sbomDirs) await restoreSboms(sbomDir, input.layersDir.host, id, known.name)
    }
  }
  await input.cache?.recordRestored()
  for (const dir of new Set([...sbomDirs, join(input.layersDir.host, 'sbom')])) removeWithin(dir, input.layersDir.host)
}

function knownLayers(id: string, image?: BuildpackLayersMetadata, cache?: BuildpackLayersMetadata): Known[] {
  const names = new Set([...Object.keys(image?.layers ?? {}), ...Object.keys(cache?.layers ?? {})])
  return [...names].sort().map(name => {
    const ofImage = image?.layers[name]
    const ofCache = cache?.layers[name]
    return {
      id,
      name,
      image: ofImage,
      cached: ofCache,
    }
  })
}

/** Returns whether a layer may have this name. Names come from a label or a cache, and paths are made from them (D09). */
function isUsable({ id, name }: Known, reporter: Reporter): boolean {
  try {
    checkLayerName(name, `previous build of ${id}`)
    return true
  } catch (error) {
    if (!(error instanceof BaleError)) throw error
    reporter.event({ type: 'warning', text: `a layer of the previous build of ${id} is not used: ${error.message}` })
    return false
  }
}

/** Restores one layer as the table in buildpack.md, "Layer Types", says. Returns whether it restored anything. */
async function restoreLayer(known: Known, input: RestoreInput, signal?: AbortSignal): Promise<boolean> {
  const { id, name, image, cached } = known
  const label = `${id}:${name}`
  const toml = join(buildpackLayersDir(input.layersDir.host, id), `${name}.toml`)
  if (cached?.cache === true && input.cache !== undefined) {
    // A layer for both launch and cache must be the same in the app image: metadata and contents of different layers do not
    // match.
    const alone = image === undefined && input.features.restoresWithoutAppImage
    const stale = cached.launch && !alone && image?.sha !== cached.sha
    if (!stale && (await restoreContents(known, cached, input, signal))) {
      writeAnew(toml, formatLayerToml(cached.data), input.layersDir.host)
      input.reporter.event({ type: 'restored', what: 'data', name: label, from: 'cache' })
      return true
    }
    return false
  }
  if (image === undefined || !image.launch || image.build || image.cache) return false
  writeAnew(toml, formatLayerToml(image.data), input.layersDir.host)
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
    if (!isDigest(record.sha)) throw new BaleError('input', 'its record has no digest')
    await input.cache?.restore(record.sha, { from, to, within: input.layersDir.host, owner: input.owner }, signal)
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    input.reporter.event({
      type: 'warning',
      text: `the cached layer ${id}:${name} is not used and will be made again: ${error.message}`,
    })
    return false
  }
}

/** The directories with the SBOM files of the previous image and of the cache. Both are unpacked by then. */
async function findSbomDirs(
  input: RestoreInput,
  cachedSha: string | undefined,
  signal?: AbortSignal,
): Promise<string[]> {
  const { layersDir, previous, reporter } = input
  const dirs: string[] = []
  const take = async (what: string, tar: AsyncIterable<Uint8Array> | undefined): Promise<void> => {
    const to = join(layersDir.host, `.sbom-${what}`)
    const options = { layersDir, what, reporter, signal }
    if (tar !== undefined && (await unpackSboms(tar, to, options))) dirs.push(to)
  }
  if (previous?.image !== undefined) await take('image', sbomTarOf({ ...previous, image: previous.image }, signal))
  else dirs.push(join(layersDir.host, 'sbom'))
  if (isDigest(cachedSha)) await take('cache', await input.cache?.open(cachedSha, signal))
  return dirs
}
