import { join } from 'node:path'
import { BuildCache } from '../caches/build-cache.ts'
import type { Owner } from '../layers/tree/entries.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { type AddedLayer, makeAppImage } from '../image/app-image.ts'
import { type Image, sizeOf } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
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
import type { Destination } from '../stores/open.ts'
import type { Packing } from '../layers/compression/packing.ts'
import type { Published } from '../stores/store.ts'
import type { PreviousImage } from './analyze.ts'
import { type Contribution, writeCache } from './export-cache.ts'
import {
  type Located,
  type NamedSource,
  appLayers,
  buildpackLayer,
  configLayer,
  launcherLayer,
  processTypesLayer,
  sbomLayer,
} from './export-layers.ts'
import type { ExtendedRunImage } from './search-extension.ts'
import { addLifecycleSboms } from './sbom.ts'
import { type LayerOnDisk, buildpackLayersDir, readLayers } from './layers-dir.ts'
import { inOrder } from '../concurrency.ts'
import { directoryState } from '../files/directories.ts'
import { readUntrusted } from '../files/read.ts'

/** The output of build, and its owner. */
export interface BuildOutput {
  readonly layersDir: Located
  readonly appDir: Located
  readonly group: readonly GroupElement[]
  /** The owner of files from buildpacks: CNB_USER_ID and CNB_GROUP_ID. */
  readonly owner: Owner
  /** Present if image extensions have extended the run image. */
  readonly extended?: ExtendedRunImage | undefined
}

/** Properties of the image that the platform sets. */
export interface ImageSettings {
  /** `sboms` is a directory with SBOM files of the launcher and of the lifecycle. */
  readonly launcher: { readonly path: string; readonly version: string; readonly sboms?: string }
  /** Overrides the buildpacks' default process. */
  readonly defaultProcess?: string | undefined
  readonly project: ProjectMetadata
  /** CNB_EXEC_ENV, if the platform supports it. */
  readonly execEnv?: string | undefined
  /** Seconds; SOURCE_DATE_EPOCH. */
  readonly createdEpoch?: number | undefined
  /** Additional labels, which replace those of buildpacks. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** How the destination compresses layers. Cached results are per compression and level. */
  readonly packing?: Packing | undefined
}

export interface ExportInput {
  readonly output: BuildOutput
  readonly runImage: { readonly image: Image; readonly metadata: RunImageMetadata }
  readonly previous?: PreviousImage | undefined
  readonly destination: Pick<Destination, 'sink' | 'names' | 'registry'>
  readonly cache?: BuildCache | undefined
  readonly settings: ImageSettings
  readonly features: PlatformFeatures
  readonly reporter: Reporter
}

export interface Exported {
  readonly image: Image
  readonly published: Published
  readonly report: Report
}

/** The creation time when SOURCE_DATE_EPOCH is not set. */
const defaultEpoch = Date.UTC(1980, 0, 1, 0, 0, 1) / 1000
const parallelLayers = 4

/**
 * Makes an image from the output of build (buildpack.md, "Phase #6: Export"; platform.md, "exporter") and fills the cache.
 * All files in the layers directory are hostile input. Processes that could change them have ended.
 */
export async function exportImage(input: ExportInput, signal?: AbortSignal): Promise<Exported> {
  const { output, settings, destination, features, reporter, cache = new BuildCache({}, reporter) } = input
  const metadata = await readMetadata(output)
  const entrypoint = chooseEntrypoint(metadata, settings.defaultProcess)
  const contributions: Contribution[] = []
  for (const buildpack of output.group) contributions.push(await contribution(buildpack, input))
  if (features.launcherSbom && settings.launcher.sboms !== undefined)
    await addLifecycleSboms(output.layersDir.host, settings.launcher.sboms)
  const plan = await planLayers(input, contributions, metadata)
  await cache.begin(signal)
  const stored = await inOrder(plan, parallelLayers, layer => store(layer, input, cache, signal))
  const base = await inOrder(input.runImage.image.layers, parallelLayers, layer =>
    destination.sink.putLayer(layer, signal),
  )
  const layersMetadata = await describe(input, contributions, stored)
  const image = makeAppImage({ ...input.runImage.image, layers: base }, stored, {
    labels: {
      ...Object.fromEntries(metadata.labels.map(l => [l.key, l.value])),
      ...settings.labels,
      [labels.lifecycle]: formatLayersMetadata(layersMetadata),
      [labels.build]: formatBuildMetadataLabel(metadata, { version: settings.launcher.version }, features),
      [labels.project]: formatProjectMetadata(settings.project),
      ...(layersMetadata.execEnv !== undefined && { [labels.execEnv]: layersMetadata.execEnv }),
    },
    env: {
      CNB_LAYERS_DIR: output.layersDir.image,
      CNB_APP_DIR: output.appDir.image,
      CNB_PLATFORM_API: features.api,
      CNB_DEPRECATION_MODE: 'quiet',
    },
    entrypoint,
    workingDir: output.appDir.image,
    created: new Date((settings.createdEpoch ?? defaultEpoch) * 1000).toISOString().replace('.000Z', 'Z'),
    blankHistory: !features.history,
    annotations: settings.annotations,
    // Docker's media types are for registries: skopeo finds no such image in an OCI layout.
    keepFormat: destination.registry !== undefined,
  })
  const published = await destination.sink.putImage(image, destination.names, signal)
  const { digest, imageId, manifestSize, names } = published
  reporter.event({ type: 'saved', names: [...names], digest, imageId, size: sizeOf(image) })
  await writeCache({ ...output, features, reporter }, cache, contributions, digestsOf(stored), signal)
  return { image, published, report: { tags: names, digest, imageId, manifestSize } }
}

async function contribution(buildpack: GroupElement, input: ExportInput): Promise<Contribution> {
  const { layersDir, owner } = input.output
  const { reporter } = input
  const layers = await readLayers(layersDir.host, buildpack.id)
  const sources = layers
    .filter(layer => layer.exists)
    .map(layer => [layer, buildpackLayer(layersDir, buildpack, layer, owner, reporter)] as const)
  return { buildpack, layers, sources: new Map(sources) }
}

async function readMetadata({ layersDir }: BuildOutput): Promise<BuildMetadata> {
  const config = join(layersDir.host, 'config')
  const where = join(config, 'metadata.toml')
  if ((await directoryState(config)) === 'absent')
    throw new BaleError('input', 'metadata.toml is missing: build did not write it', { where })
  const content = await readUntrusted(where, layersDir.host)
  if (content === undefined) throw new BaleError('input', 'metadata.toml is missing: build did not write it', { where })
  return parseBuildMetadata(content, where)
}

/** platform.md, exporter: the entrypoint is the requested process, else the buildpacks' default, else the launcher. */
function chooseEntrypoint(metadata: BuildMetadata, wanted: string | undefined): string {
  const types = metadata.processes.map(p => p.type)
  if (wanted !== undefined && !types.includes(wanted)) {
    throw new BaleError('input', `no buildpack provides a process ${JSON.stringify(wanted)}`, {
      fix: types.length === 0 ? 'add a Procfile with this process' : `choose one of: ${types.join(', ')}`,
    })
  }
  const type = wanted ?? metadata.defaultProcessType
  return type === undefined ? '/cnb/lifecycle/launcher' : `/cnb/process/${type}`
}

/** A layer of the new image: to be made, or reused from the previous image. */
type Planned =
  NamedSource | { readonly kind: 'buildpack'; readonly name: string; readonly createdBy: string; readonly reuse: Layer }

/** The layers above the run image's, in the order that rebase and other readers rely on. */
async function planLayers(
  input: ExportInput,
  contributions: readonly Contribution[],
  metadata: BuildMetadata,
): Promise<Planned[]> {
  const { layersDir, appDir, owner } = input.output
  const { reporter } = input
  const plan: Planned[] = []
  for (const { buildpack, layers, sources } of contributions) {
    for (const layer of layers) {
      if (layer.types.launch) plan.push(sources.get(layer) ?? reuse(input, buildpack, layer))
    }
  }
  if (input.features.sbomLayer && (await hasSboms(layersDir.host))) plan.push(sbomLayer(layersDir, owner, reporter))
  plan.push(...(await appLayers(appDir, metadata.slices, owner, reporter)))
  plan.push(launcherLayer(input.settings.launcher.path), configLayer(layersDir, owner, reporter))
  if (metadata.processes.length > 0) plan.push(processTypesLayer(metadata.processes))
  return plan
}

async function hasSboms(layersDir: string): Promise<boolean> {
  const dir = join(layersDir, 'sbom')
  return (await directoryState(dir)) === 'directory' && (await directoryState(join(dir, 'launch'))) === 'directory'
}

/** A layer without a directory is reused from the previous image, if that is allowed (buildpack.md, "Launch Layers"). */
function reuse(input: ExportInput, buildpack: GroupElement, layer: LayerOnDisk): Planned {
  const name = `${buildpack.id}:${layer.name}`
  const sha = input.previous?.metadata.buildpacks.find(b => b.key === buildpack.id)?.layers[layer.name]?.sha
  const found = sha === undefined ? undefined : input.previous?.image.layers.find(l => l.diffId === sha)
  if (found === undefined || layer.types.cache) {
    throw new BaleError(
      'input',
      `the layer ${name} is a launch layer, but it has no directory and is not in the previous image`,
      {
        where: `${layer.dir}.toml`,
        fix: `this is a bug in ${buildpack.id}@${buildpack.version}; build once with --clear-cache`,
      },
    )
  }
  const createdBy = `Layer: '${layer.name}', Created by buildpack: ${buildpack.id}@${buildpack.version}`
  return { kind: 'buildpack', name, createdBy, reuse: found }
}

type Stored = AddedLayer & { readonly planned: Planned }

/** The digests of the layers that were made. */
function digestsOf(stored: readonly Stored[]): ReadonlyMap<NamedSource, Layer> {
  return new Map(stored.flatMap(({ planned, layer }) => ('reuse' in planned ? [] : [[planned, layer]])))
}

async function store(planned: Planned, input: ExportInput, cache: BuildCache, signal?: AbortSignal): Promise<Stored> {
  const reused = 'reuse' in planned
  const { sink } = input.destination
  const layer = reused
    ? await sink.putLayer(planned.reuse, signal)
    : await cache.storeLayer(planned.source, input.settings.packing ?? {}, source => sink.putLayer(source, signal))
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
    const where = join(buildpackLayersDir(input.output.layersDir.host, buildpack.id), 'store.toml')
    const content = await readUntrusted(where, input.output.layersDir.host)
    const storeData = content === undefined ? undefined : parseStore(content, where)
    buildpacks.push({
      key: buildpack.id,
      version: buildpack.version,
      layers: records,
      store: storeData,
    })
  }
  const sbom = one('sbom')
  const processTypes = one('process-types')
  return {
    app: stored.filter(s => s.planned.kind === 'app').map(s => ({ sha: s.layer.diffId })),
    buildpacks,
    config: one('config') ?? { sha: '' },
    launcher: one('launcher') ?? { sha: '' },
    runImage: input.runImage.metadata,
    execEnv: input.settings.execEnv,
    sbom,
    processTypes,
  }
}
