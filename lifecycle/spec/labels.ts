import type { PlatformFeatures } from './api.ts'
import { writeCommand } from './process.ts'
import * as read from './read.ts'
import type {
  BuildMetadata,
  BuildpackLayersMetadata,
  CacheMetadata,
  LayerRecord,
  LayersMetadata,
  Metadata,
  ProjectMetadata,
  RunImageMetadata,
} from './types.ts'

/** Labels of an app image (platform.md, "Labels"). Keys stand in the order the Go lifecycle writes them; maps are sorted. */
export const labels = {
  lifecycle: 'io.buildpacks.lifecycle.metadata',
  build: 'io.buildpacks.build.metadata',
  project: 'io.buildpacks.project.metadata',
  cache: 'io.buildpacks.lifecycle.cache.metadata',
  rebasable: 'io.buildpacks.rebasable',
  execEnv: 'io.buildpacks.exec-env',
  baseId: 'io.buildpacks.base.id',
  distroName: 'io.buildpacks.base.distro.name',
  distroVersion: 'io.buildpacks.base.distro.version',
  stackId: 'io.buildpacks.stack.id',
  stackMixins: 'io.buildpacks.stack.mixins',
} as const

// ---- io.buildpacks.lifecycle.metadata ----

/**
 * The label's value. Missing keys mean nothing is known, as images of older lifecycles have them, and digests are any
 * strings: whoever looks one up compares it.
 * @throws BaleError 'input' for what is not JSON, or of other types than the label's
 */
export function parseLayersMetadata(json: string, where: string): LayersMetadata {
  return readLayersMetadata(read.readJson(json, where))
}

/** The same from a table: analyzed.toml repeats the label in TOML, with some keys in kebab case. */
export function readLayersMetadata(node: read.Node): LayersMetadata {
  const runImage = readRunImage(node)
  return {
    app: read.tables(node, 'app').map(slice => ({ sha: read.text(slice, 'sha') ?? '' })),
    buildpacks: read.tables(node, 'buildpacks').map(readBuildpack),
    ...optionalSha(node, 'sbom', 'sbom'),
    ...optionalSha(node, 'config', 'config'),
    ...optionalSha(node, 'launcher', 'launcher'),
    ...optionalSha(node, 'process-types', 'processTypes'),
    ...(runImage && { runImage }),
  }
}

function optionalSha<K extends string>(
  node: read.Node,
  key: string,
  name: K,
): { readonly [P in K]?: { readonly sha: string } } {
  const found = read.table(node, key)
  const sha = found && read.text(found, 'sha')
  return sha ? ({ [name]: { sha } } as { readonly [P in K]?: { readonly sha: string } }) : {}
}

function readBuildpack(node: read.Node): BuildpackLayersMetadata {
  const store = read.table(node, 'store')
  const layers = Object.create(null) as Record<string, LayerRecord>
  for (const [name, layer] of read.tableMap(node, 'layers')) layers[name] = readLayer(layer)
  return {
    key: read.text(node, 'key') ?? '',
    version: read.text(node, 'version') ?? '',
    layers,
    ...(store && { store: read.metadata(store, 'metadata') }),
  }
}

function readLayer(node: read.Node): LayerRecord {
  return {
    sha: read.text(node, 'sha') ?? '',
    data: read.metadata(node, read.has(node, 'data') ? 'data' : 'metadata'),
    build: read.flag(node, 'build'),
    launch: read.flag(node, 'launch'),
    cache: read.flag(node, 'cache'),
  }
}

/** `runImage`, with what only the older `stack.runImage` says. */
function readRunImage(node: read.Node): RunImageMetadata | undefined {
  const own = read.table(node, 'runImage') ?? read.table(node, 'run-image')
  const stack = read.table(node, 'stack')
  const old = stack && (read.table(stack, 'runImage') ?? read.table(stack, 'run-image'))
  const named = own && read.text(own, 'image') ? own : (old ?? own)
  if (!own && !named) return undefined
  const mirrors = named ? read.texts(named, 'mirrors') : []
  return {
    topLayer: (own && (read.text(own, 'topLayer') ?? read.text(own, 'top-layer'))) ?? '',
    reference: (own && read.text(own, 'reference')) ?? '',
    ...(named && read.optionalText(named, 'image', 'image')),
    ...(mirrors.length > 0 && { mirrors }),
  }
}

/** `stack` repeats the run image at every API: kpack reads it there, and needs a name it can parse. */
export function formatLayersMetadata(m: LayersMetadata): string {
  return JSON.stringify({ ...writeLayersMetadata(m), stack: { runImage: writeStackRunImage(m.runImage) } })
}

/** The label's value as plain data, without `stack`. */
export function writeLayersMetadata(m: LayersMetadata): Readonly<Record<string, unknown>> {
  return {
    app: m.app.map(slice => ({ sha: slice.sha })),
    sbom: m.sbom && { sha: m.sbom.sha },
    buildpacks: m.buildpacks.map(writeBuildpack),
    config: { sha: m.config?.sha ?? '' },
    launcher: { sha: m.launcher?.sha ?? '' },
    'process-types': { sha: m.processTypes?.sha ?? '' },
    runImage: {
      topLayer: m.runImage?.topLayer ?? '',
      reference: m.runImage?.reference ?? '',
      image: m.runImage?.image,
      mirrors: m.runImage?.mirrors,
    },
  }
}

function writeStackRunImage(runImage: RunImageMetadata | undefined): Readonly<Record<string, unknown>> {
  return { image: runImage?.image ?? runImage?.reference, mirrors: runImage?.mirrors }
}

function writeBuildpack(m: BuildpackLayersMetadata): Readonly<Record<string, unknown>> {
  const layers = sortedEntries(m.layers).map(([name, layer]) => [
    name,
    { sha: layer.sha, data: sorted(layer.data), build: layer.build, launch: layer.launch, cache: layer.cache },
  ])
  return {
    key: m.key,
    version: m.version,
    layers: withoutPrototype(layers as [string, unknown][]),
    store: m.store && { metadata: sorted(m.store) },
  }
}

// ---- the cache's metadata ----

export function parseCacheMetadata(json: string, where: string): CacheMetadata {
  const node = read.readJson(json, where)
  return { buildpacks: read.tables(node, 'buildpacks').map(readBuildpack), ...optionalSha(node, 'sbom', 'sbom') }
}

export function formatCacheMetadata(m: CacheMetadata): string {
  return JSON.stringify({ sbom: m.sbom && { sha: m.sbom.sha }, buildpacks: m.buildpacks.map(writeBuildpack) })
}

// ---- io.buildpacks.build.metadata and io.buildpacks.project.metadata ----

export interface LauncherVersion {
  readonly version: string
  readonly source?: { readonly repository: string; readonly commit: string }
}

/** Who built the image and what it can start. `bom` and one-string commands are for platforms that know no better. */
export function formatBuildMetadataLabel(
  m: BuildMetadata,
  launcher: LauncherVersion,
  features: Pick<PlatformFeatures, 'commandLists' | 'execEnv' | 'legacySbomFile'>,
): string {
  const { repository = '', commit = '' } = launcher.source ?? {}
  const byType = [...m.processes].sort((a, b) => (a.type < b.type ? -1 : 1))
  return JSON.stringify({
    bom: features.legacySbomFile ? undefined : [],
    buildpacks: m.buildpacks.map(b => ({ id: b.id, version: b.version, homepage: b.homepage, api: b.api })),
    launcher: { version: launcher.version, source: { git: { repository, commit } } },
    processes: byType.map(p => ({
      type: p.type,
      ...writeCommand(p, features.commandLists),
      direct: p.direct,
      buildpackID: p.buildpackId,
      'working-dir': p.workingDir,
      'exec-env': features.execEnv ? (p.execEnv ?? ['*']) : undefined,
    })),
    'buildpack-default-process-type': m.defaultProcessType,
  })
}

/** `{}` when nothing is known about the source. */
export function formatProjectMetadata(p: ProjectMetadata): string {
  const { type, version, metadata } = p.source ?? {}
  const source = { type, version: version && sorted(version), metadata: metadata && sorted(metadata) }
  return JSON.stringify({ source: p.source && source })
}

// ---- order ----

const sortedEntries = <T>(map: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1))

/** A map keeps any key: assigning `__proto__` to an ordinary object would not. */
function withoutPrototype(entries: readonly [string, unknown][]): Metadata {
  const map = Object.create(null) as Record<string, unknown>
  for (const [key, value] of entries) map[key] = value
  return map
}

function sorted(value: Metadata): Metadata {
  return withoutPrototype(sortedEntries(value).map(([key, v]) => [key, sortedValue(v)]))
}

function sortedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedValue)
  if (read.isTable(value)) return sorted(value)
  // JSON.stringify would make null of it, and the value would be gone at the next build.
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

/** What `inspect` shows of the label: who built the image, and what it can start. */
export interface BuildLabel {
  readonly buildpacks: readonly { readonly id: string; readonly version: string; readonly homepage?: string }[]
  readonly processes: readonly {
    readonly type: string
    readonly command: readonly string[]
    readonly args: readonly string[]
    readonly workingDir?: string
  }[]
}

/** Missing keys mean nothing is known; any lifecycle may have written it. @throws BaleError 'input' */
export function parseBuildMetadataLabel(json: string, where: string): BuildLabel {
  const document = read.readJson(json, where)
  return {
    buildpacks: read.tables(document, 'buildpacks').map(b => ({
      id: read.text(b, 'id') ?? '',
      version: read.text(b, 'version') ?? '',
      ...read.optionalText(b, 'homepage', 'homepage'),
    })),
    processes: read.tables(document, 'processes').map(p => ({
      type: read.text(p, 'type') ?? '',
      command: typeof p.table['command'] === 'string' ? [p.table['command']] : read.texts(p, 'command'),
      args: read.texts(p, 'args'),
      ...read.optionalText(p, 'working-dir', 'workingDir'),
    })),
  }
}
