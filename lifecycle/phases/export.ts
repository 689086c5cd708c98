import { join } from 'node:path'
import type { Cache } from '../caches/cache.ts'
import type { BlobInfoCache } from '../caches/blob-info-cache.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { type AddedLayer, makeAppImage } from '../image/app-image.ts'
import { type Image, sizeOf } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import type { Compression } from '../image/media-types.ts'
import type { PlatformFeatures } from '../spec/api.ts'
import { formatBuildMetadataLabel, formatLayersMetadata, formatProjectMetadata, labels } from '../spec/labels.ts'
import { parseBuildMetadata } from '../spec/metadata.ts'
import { parseStore } from '../spec/store.ts'
import type {
  BuildMetadata,
  BuildpackLayersMetadata,
  GroupElement,
  LayerRecord,
  LayersMetadata,
  ProjectMetadata,
  Report,
  RunImageMetadata,
} from '../spec/types.ts'
import type { ImageSink, Published } from '../stores/store.ts'
import type { PreviousImage } from './analyze.ts'
import { type Caching, type Contribution, beginCache, writeCache } from './export-cache.ts'
import {
  type Located,
  type NamedSource,
  type Owner,
  appLayers,
  buildpackLayer,
  configLayer,
  launcherLayer,
  processTypesLayer,
  sbomLayer,
} from './export-layers.ts'
import { addLifecycleSboms } from './sbom.ts'
import { type LayerOnDisk, buildpackLayersDir, readLayers } from './layers-dir.ts'
import { inOrder } from './in-order.ts'
import { putKnownLayer } from './known-layers.ts'
import { layerFormat } from '../layers/compression/compress.ts'
import { directoryState } from '../files/directories.ts'
import { readUntrusted } from '../files/read.ts'

export interface ExportInput {
  readonly layersDir: Located
  readonly appDir: Located
  readonly group: readonly GroupElement[]
  readonly runImage: { readonly image: Image; readonly metadata: RunImageMetadata }
  readonly previous?: PreviousImage
  readonly destination: { readonly sink: ImageSink; readonly names: readonly string[] }
  readonly cache?: Cache
  /** What earlier builds found out about layers; saved with the cache. */
  readonly index?: BlobInfoCache
  /** What the destination compresses layers with: it tells apart what the index knows of them. */
  readonly compression?: Compression
  /** `sboms` is a directory with SBOM files of the launcher and of the lifecycle. */
  readonly launcher: { readonly path: string; readonly version: string; readonly sboms?: string }
  /** The user that owns what buildpacks made: CNB_USER_ID and CNB_GROUP_ID. */
  readonly owner: Owner
  /** Overrides what buildpacks say. */
  readonly defaultProcess?: string
  readonly project: ProjectMetadata
  /** CNB_EXEC_ENV, where the platform knows of it. */
  readonly execEnv?: string
  /** Seconds; SOURCE_DATE_EPOCH. */
  readonly createdEpoch?: number
  readonly features: PlatformFeatures
  readonly reporter: Reporter
}

export interface Exported {
  readonly image: Image
  readonly published: Published
  readonly report: Report
}

/** What everything is dated when SOURCE_DATE_EPOCH does not say otherwise. */
const defaultEpoch = Date.UTC(1980, 0, 1, 0, 0, 1) / 1000
const parallelLayers = 4

/**
 * Turns what the build left into an image (buildpack.md, "Phase #6: Export"; platform.md, "exporter") and fills the
 * cache. All it reads from the layers directory is hostile input; nothing that could change it is alive any more.
 */
export async function exportImage(input: ExportInput, signal?: AbortSignal): Promise<Exported> {
  const metadata = await readMetadata(input)
  const entrypoint = chooseEntrypoint(metadata, input.defaultProcess)
  const contributions: Contribution[] = []
  for (const buildpack of input.group) contributions.push(await contribution(buildpack, input))
  if (input.features.launcherSbom && input.launcher.sboms !== undefined)
    await addLifecycleSboms(input.layersDir.host, input.launcher.sboms)
  const plan = await planLayers(input, contributions, metadata)
  await using caching = await beginCache(input, signal)
  const stored = await inOrder(plan, parallelLayers, layer => store(layer, input, caching, signal))
  const base = await inOrder(input.runImage.image.layers, parallelLayers, layer =>
    input.destination.sink.putLayer(layer, signal),
  )
  const layersMetadata = await describe(input, contributions, stored)
  const image = makeAppImage({ ...input.runImage.image, layers: base }, stored, {
    labels: {
      ...Object.fromEntries(metadata.labels.map(l => [l.key, l.value])),
      [labels.lifecycle]: formatLayersMetadata(layersMetadata),
      [labels.build]: formatBuildMetadataLabel(metadata, { version: input.launcher.version }, input.features),
      [labels.project]: formatProjectMetadata(input.project),
      ...(layersMetadata.execEnv !== undefined && { [labels.execEnv]: layersMetadata.execEnv }),
    },
    env: {
      CNB_LAYERS_DIR: input.layersDir.image,
      CNB_APP_DIR: input.appDir.image,
      CNB_PLATFORM_API: input.features.api,
      CNB_DEPRECATION_MODE: 'quiet',
    },
    entrypoint,
    workingDir: input.appDir.image,
    created: new Date((input.createdEpoch ?? defaultEpoch) * 1000).toISOString().replace('.000Z', 'Z'),
    blankHistory: !input.features.history,
  })
  const published = await input.destination.sink.putImage(image, input.destination.names, signal)
  const { digest, imageId, manifestSize, names } = published
  input.reporter.event({ type: 'saved', names: [...names], digest, imageId, size: sizeOf(image) })
  if (caching !== undefined) await writeCache(input, caching, contributions, digestsOf(stored), signal)
  return { image, published, report: { tags: names, digest, imageId, manifestSize } }
}

async function contribution(buildpack: GroupElement, input: ExportInput): Promise<Contribution> {
  const { layersDir, owner, reporter } = input
  const layers = await readLayers(layersDir.host, buildpack.id)
  const sources = layers
    .filter(layer => layer.exists)
    .map(layer => [layer, buildpackLayer(layersDir, buildpack, layer, owner, reporter)] as const)
  return { buildpack, layers, sources: new Map(sources) }
}

async function readMetadata(input: ExportInput): Promise<BuildMetadata> {
  const config = join(input.layersDir.host, 'config')
  const where = join(config, 'metadata.toml')
  if ((await directoryState(config)) === 'absent')
    throw new BaleError('input', 'build left no metadata.toml', { where })
  const content = await readUntrusted(where)
  if (content === undefined) throw new BaleError('input', 'build left no metadata.toml', { where })
  return parseBuildMetadata(content, where)
}

/** platform.md, exporter: the entrypoint is the wanted process, else the buildpacks' default, else the launcher. */
function chooseEntrypoint(metadata: BuildMetadata, wanted: string | undefined): string {
  const types = metadata.processes.map(p => p.type)
  if (wanted !== undefined && !types.includes(wanted)) {
    throw new BaleError('arguments', `no buildpack provides a process ${JSON.stringify(wanted)}`, {
      fix: types.length === 0 ? 'add a Procfile that has it' : `choose one of: ${types.join(', ')}`,
    })
  }
  const type = wanted ?? metadata.defaultProcessType
  return type === undefined ? '/cnb/lifecycle/launcher' : `/cnb/process/${type}`
}

/** A layer of the image to be: one to make, or one that the previous image has. */
type Planned =
  NamedSource | { readonly kind: 'buildpack'; readonly name: string; readonly createdBy: string; readonly reuse: Layer }

/** The layers above the run image's, in the order that rebase and other readers rely on. */
async function planLayers(
  input: ExportInput,
  contributions: readonly Contribution[],
  metadata: BuildMetadata,
): Promise<Planned[]> {
  const { layersDir, appDir, owner, reporter } = input
  const plan: Planned[] = []
  for (const { buildpack, layers, sources } of contributions) {
    for (const layer of layers) {
      if (layer.types.launch) plan.push(sources.get(layer) ?? reuse(input, buildpack, layer))
    }
  }
  if (input.features.sbomLayer && (await hasSboms(layersDir.host))) plan.push(sbomLayer(layersDir, owner, reporter))
  plan.push(...(await appLayers(appDir, metadata.slices, owner, reporter)))
  plan.push(launcherLayer(input.launcher.path), configLayer(layersDir, owner, reporter))
  if (metadata.processes.length > 0) plan.push(processTypesLayer(metadata.processes))
  return plan
}

async function hasSboms(layersDir: string): Promise<boolean> {
  const dir = join(layersDir, 'sbom')
  return (await directoryState(dir)) === 'directory' && (await directoryState(join(dir, 'launch'))) === 'directory'
}

/** A layer without a directory is the previous image's, if it may be (buildpack.md, "Launch Layers"). */
function reuse(input: ExportInput, buildpack: GroupElement, layer: LayerOnDisk): Planned {
  const name = `${buildpack.id}:${layer.name}`
  const sha = input.previous?.metadata.buildpacks.find(b => b.key === buildpack.id)?.layers[layer.name]?.sha
  const found = sha === undefined ? undefined : input.previous?.image.layers.find(l => l.diffId === sha)
  if (found === undefined || layer.types.cache) {
    throw new BaleError(
      'input',
      `the layer ${name} is for launch, but it has no directory and the previous image does not have it`,
      {
        where: `${layer.dir}.toml`,
        fix: `this is a fault of ${buildpack.id}@${buildpack.version}; build once with --clear-cache`,
      },
    )
  }
  const createdBy = `Layer: '${layer.name}', Created by buildpack: ${buildpack.id}@${buildpack.version}`
  return { kind: 'buildpack', name, createdBy, reuse: found }
}

type Stored = AddedLayer & { readonly planned: Planned }

/** What is known of the layers that were made. */
function digestsOf(stored: readonly Stored[]): ReadonlyMap<NamedSource, Layer> {
  return new Map(stored.flatMap(({ planned, layer }) => ('reuse' in planned ? [] : [[planned, layer]])))
}

async function store(
  planned: Planned,
  input: ExportInput,
  caching: Caching | undefined,
  signal?: AbortSignal,
): Promise<Stored> {
  const recorder = caching?.writer.chunks
  const reused = 'reuse' in planned
  const { sink } = input.destination
  const layer = reused
    ? await sink.putLayer(planned.reuse, signal)
    : await putKnownLayer(
        planned.source,
        `image ${await layerFormat(input.compression ?? 'gzip')}`,
        input.index,
        source => sink.putLayer(recorder === undefined ? source : { ...source, chunks: recorder }, signal),
      )
  const known = reused || input.previous?.image.layers.some(l => l.diffId === layer.diffId)
  const { kind, name } = planned
  input.reporter.event({
    type: 'layer',
    action: known ? 'reused' : 'added',
    kind,
    name,
    diffId: layer.diffId,
    size: layer.size,
  })
  return { planned, layer, createdBy: reused ? planned.createdBy : planned.source.createdBy }
}

/** The `io.buildpacks.lifecycle.metadata` label's value. */
async function describe(
  input: ExportInput,
  contributions: readonly Contribution[],
  stored: readonly Stored[],
): Promise<LayersMetadata> {
  const shaOf = (name: string): string | undefined => stored.find(s => s.planned.name === name)?.layer.diffId
  const one = (name: string): { sha: string } | undefined => {
    const sha = shaOf(name)
    return sha === undefined ? undefined : { sha }
  }
  const buildpacks: BuildpackLayersMetadata[] = []
  for (const { buildpack, layers } of contributions) {
    const records: Record<string, LayerRecord> = {}
    for (const layer of layers) {
      const sha = shaOf(`${buildpack.id}:${layer.name}`)
      if (layer.types.launch && sha !== undefined) records[layer.name] = { ...layer.types, sha, data: layer.metadata }
    }
    const where = join(buildpackLayersDir(input.layersDir.host, buildpack.id), 'store.toml')
    const content = await readUntrusted(where)
    const kept = content === undefined ? undefined : parseStore(content, where)
    buildpacks.push({ key: buildpack.id, version: buildpack.version, layers: records, ...(kept && { store: kept }) })
  }
  const sbom = one('sbom')
  const processTypes = one('process-types')
  return {
    app: stored.filter(s => s.planned.kind === 'app').map(s => ({ sha: s.layer.diffId })),
    buildpacks,
    config: one('config') ?? { sha: '' },
    launcher: one('launcher') ?? { sha: '' },
    runImage: input.runImage.metadata,
    ...(input.execEnv !== undefined && { execEnv: input.execEnv }),
    ...(sbom && { sbom }),
    ...(processTypes && { processTypes }),
  }
}
