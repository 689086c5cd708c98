import * as read from './read.ts'
import { mapOf, sortedData, sortedEntries } from './sorted.ts'
import type { BuildpackLayersMetadata, CacheMetadata, LayerRecord, LayersMetadata, RunImageMetadata } from './types.ts'

/** The label `io.buildpacks.lifecycle.metadata` (platform.md, "Labels") and the similar, smaller metadata of the cache. */

/**
 * Parses the label's value. Missing keys mean unknown, as in images of older lifecycles. Digests are unchecked strings:
 * callers compare them.
 * @throws BaleError 'input' for invalid JSON or values of the wrong type
 */
export function parseLayersMetadata(json: string, where: string): LayersMetadata {
  return readLayersMetadata(read.readJson(json, where))
}

/** Reads the same data from a table: analyzed.toml repeats the label in TOML, with some keys in kebab case. */
export function readLayersMetadata(node: read.Node): LayersMetadata {
  const runImage = readRunImage(node)
  return {
    app: read.tables(node, 'app').map(slice => ({ sha: read.text(slice, 'sha') ?? '' })),
    buildpacks: read.tables(node, 'buildpacks').map(readBuildpack),
    ...optionalSha(node, 'sbom', 'sbom'),
    ...optionalSha(node, 'config', 'config'),
    ...optionalSha(node, 'launcher', 'launcher'),
    ...optionalSha(node, 'process-types', 'processTypes'),
    ...read.optionalText(node, 'exec-env', 'execEnv'),
    runImage,
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

/** Returns `runImage`, completed from the older `stack.runImage`. */
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

/** `stack` repeats the run image at every API: kpack reads it there, and needs a name that it can parse. */
export function formatLayersMetadata(m: LayersMetadata): string {
  return JSON.stringify({ ...writeLayersMetadata(m), stack: { runImage: writeStackRunImage(m.runImage) } })
}

export interface RunImageChange {
  readonly topLayer: string
  readonly reference: string
  /** A name other than the recorded ones. Its mirrors are unknown. */
  readonly renamed?: string
}

/**
 * Returns the label's value for another run image (platform.md, "rebaser", Outputs). Preserves everything else, including unknown
 * keys and numbers that JavaScript cannot represent.
 * @throws BaleError 'input' as `parseLayersMetadata` does
 */
export function rebaseLayersMetadata(json: string, { renamed, ...changes }: RunImageChange, where: string): string {
  read.readJson(json, where)
  const label = JSON.parse(json, keepNumbers) as { runImage?: Fields | null; stack?: Fields | null }
  const { image: _image, mirrors: _mirrors, ...unnamed } = label.runImage ?? {}
  if (renamed === undefined) return JSON.stringify({ ...label, runImage: { ...label.runImage, ...changes } })
  const runImage = { ...unnamed, ...changes, image: renamed }
  return JSON.stringify({ ...label, runImage, stack: { ...label.stack, runImage: { image: renamed } } })
}

type Fields = Readonly<Record<string, unknown>>

/** ECMAScript's "JSON.parse source text access", which TypeScript's library does not know yet. */
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }
const keepNumbers = (_key: string, value: unknown, context?: { source?: string }): unknown =>
  typeof value === 'number' ? rawJSON(context?.source ?? String(value)) : value

/**
 * Returns the label's value as plain data, without `stack`.
 * @param key the key of a layer's own metadata: `data` in the label, `metadata` in analyzed.toml, as in the Go lifecycle
 */
export function writeLayersMetadata(
  m: LayersMetadata,
  key: 'data' | 'metadata' = 'data',
): Readonly<Record<string, unknown>> {
  return {
    app: m.app.map(slice => ({ sha: slice.sha })),
    sbom: m.sbom && { sha: m.sbom.sha },
    buildpacks: m.buildpacks.map(b => writeBuildpack(b, key)),
    config: { sha: m.config?.sha ?? '' },
    launcher: { sha: m.launcher?.sha ?? '' },
    'process-types': { sha: m.processTypes?.sha ?? '' },
    'exec-env': m.execEnv,
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

function writeBuildpack(m: BuildpackLayersMetadata, key: 'data' | 'metadata'): Readonly<Record<string, unknown>> {
  const layers = sortedEntries(m.layers).map(([name, layer]): [string, unknown] => [
    name,
    { sha: layer.sha, [key]: sortedData(layer.data), build: layer.build, launch: layer.launch, cache: layer.cache },
  ])
  return {
    key: m.key,
    version: m.version,
    layers: mapOf(layers),
    store: m.store && { metadata: sortedData(m.store) },
  }
}

// ---- the cache's metadata ----

export function parseCacheMetadata(json: string, where: string): CacheMetadata {
  const node = read.readJson(json, where)
  return { buildpacks: read.tables(node, 'buildpacks').map(readBuildpack), ...optionalSha(node, 'sbom', 'sbom') }
}

export function formatCacheMetadata(m: CacheMetadata): string {
  return JSON.stringify({
    sbom: m.sbom && { sha: m.sbom.sha },
    buildpacks: m.buildpacks.map(b => writeBuildpack(b, 'data')),
  })
}
