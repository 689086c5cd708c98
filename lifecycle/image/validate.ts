import * as v from 'valibot'
import { BaleError } from '../errors.ts'
import { isTable } from '../spec/table.ts'
import type { ImageConfig } from './config.ts'
import { type Digest, isDigest } from './digest.ts'
import { parseJson } from './json.ts'
import type { Descriptor, Index, Manifest, Platform } from './manifest.ts'
import { compressionOf, docker, isIndex, isManifest, oci } from './media-types.ts'

/** No container engine runs an image with so many layers, and no index has so many platforms (R34). */
const maxEntries = 1000

/**
 * Parses an image manifest or an index, from bytes whose digest the caller has verified and whose length it has bounded
 * (image-spec manifest.md, image-index.md; Docker's schema 2). A missing `mediaType`, which OCI permits, is filled in.
 * @param where the name and place of the document, for errors
 * @throws BaleError 'input', which names the field, also for valid OCI documents that are not images, such as a Helm chart
 */
export function parseManifest(bytes: Uint8Array, where: string): Manifest | Index {
  const value = parseJson(bytes, where)
  const bad = (why: string, fix?: string) => new BaleError('input', why, { where, fix })
  if (!isTable(value)) throw bad('is not a JSON object')
  if (value.schemaVersion === 1 || 'fsLayers' in value) {
    throw bad('is a manifest of schema 1, which is obsolete', 'push the image again with a current tool')
  }
  // With a document that is both, a scanner may see one image and an engine another (CVE-2021-41190, R31).
  const keys = Object.keys(value).map(key => key.toLowerCase())
  const looksLikeIndex = keys.includes('manifests')
  const looksLikeImage = keys.includes('layers') || keys.includes('config')
  if (looksLikeIndex && looksLikeImage) throw bad('has the fields of an index and of an image manifest')
  if (!looksLikeIndex && !looksLikeImage) throw bad('is neither an image manifest nor an index')
  if (!looksLikeIndex) return check(manifestSchema, value, where)
  return check(indexSchema, value, where)
}

/** An image's config (image-spec config.md). Keys that it does not define are kept. */
export function parseConfig(bytes: Uint8Array, where: string): ImageConfig {
  return check(configSchema, parseJson(bytes, where), where)
}

/** Config and manifest must have the same number of layers, since diffIDs and blobs are paired by position (R36). */
export function checkLayerCount(manifest: Manifest, config: ImageConfig, where: string): void {
  const [blobs, diffIds] = [manifest.layers.length, config.rootfs.diff_ids.length]
  if (blobs === diffIds) return
  throw new BaleError('input', `the manifest has ${blobs} layers, but its config has ${diffIds} diff_ids`, { where })
}

/**
 * The first manifest that fits `platform` (image-spec image-index.md). Indexes within the index are not followed, so none can
 * be cyclic (R34). A single manifest without a platform fits every platform.
 */
export function selectPlatform(index: Index, platform: Platform, where: string): Descriptor {
  const manifests = index.manifests.filter(d => isManifest(d.mediaType))
  const fitting = manifests.filter(
    ({ platform: p }) => p?.os === platform.os && p.architecture === platform.architecture,
  )
  const variant = variantOf(platform)
  const found =
    fitting.find(d => variantOf(d.platform) === variant && versionFits(d.platform, platform)) ??
    fitting.find(d => platform.variant === undefined || d.platform?.variant === undefined) ??
    (manifests.length === 1 && manifests[0]?.platform === undefined ? manifests[0] : undefined)
  if (found !== undefined) return found
  const names = manifests
    .flatMap(d => (d.platform ? [platformName(d.platform)] : []))
    .filter(n => !n.startsWith('unknown'))
  const nested = index.manifests.some(d => isIndex(d.mediaType))
  throw new BaleError('input', `has no image for ${platformName(platform)}; ${offered(names, nested)}`, {
    where,
    fix: 'name an image that was made for this platform',
  })
}

function offered(names: string[], nested: boolean): string {
  if (names.length > 0) return `it has ${[...new Set(names)].slice(0, 50).join(', ')}`
  return nested ? 'it only has further indexes, which are not followed' : 'it names no platform'
}

/** `linux/arm64/v8` */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].map(part => JSON.stringify(part).slice(1, -1)).join('/')
}

/** The variant that an architecture without one means (the defaults of Go's ports). */
const defaultVariants = new Map([
  ['arm64', 'v8'],
  ['arm', 'v7'],
  ['amd64', 'v1'],
])
const variantOf = (p: Platform | undefined) => p?.variant ?? defaultVariants.get(p?.architecture ?? '')
const versionFits = (offer: Platform | undefined, wanted: Platform) =>
  wanted['os.version'] === undefined || offer?.['os.version'] === wanted['os.version']

/**
 * An object with these fields and possibly others, but no field that differs from them only by case: Go's JSON parser accepts
 * `Layers` for `layers`, so registries and engines could see different images (R32).
 */
function object<const Entries extends v.ObjectEntries>(entries: Entries) {
  const byLowerCase = new Map(Object.keys(entries).map(key => [key.toLowerCase(), key]))
  const twinOf = (value: object) => {
    const key = Object.keys(value).find(k => !Object.hasOwn(entries, k) && byLowerCase.has(k.toLowerCase()))
    return key === undefined
      ? undefined
      : `has the key ${quote(key)}, which must be spelled "${byLowerCase.get(key.toLowerCase())}"`
  }
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(isTable, 'is not an object'),
    v.check(
      value => twinOf(value) === undefined,
      issue => twinOf(issue.input) ?? '',
    ),
    v.looseObject(entries, 'is missing'),
  )
}

/** Go writes an empty slice or map as null, which counts as absent. */
const orNull = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.pipe(
    v.nullish(schema),
    v.transform(value => value ?? undefined),
  )

const string = v.pipe(v.string('is not a string'), v.maxLength(65_536, 'is longer than 65536 characters'))
const text = v.string('is not a string')
const list = <Schema extends v.GenericSchema>(item: Schema) =>
  v.pipe(
    v.array(item, 'is not a list'),
    v.maxLength(maxEntries, i => `has ${i.received} entries, more than ${maxEntries}`),
  )
const strings = v.array(text, 'is not a list of strings')
const stringMap = v.custom<Record<string, string>>(
  value => isTable(value) && Object.values(value).every(entry => typeof entry === 'string'),
  'is not an object of strings',
)
const objectMap = v.custom<Record<string, object>>(
  value => isTable(value) && Object.values(value).every(isTable),
  'is not an object of objects',
)
const digest = v.custom<Digest>(isDigest, issue => `${quote(issue.input)} is not sha256: and 64 hex digits`)
const size = v.custom<number>(
  value => Number.isSafeInteger(value) && (value as number) >= 0,
  issue => `${quote(issue.input)} is not a size in bytes`,
)
const two = v.literal(2, issue => `is ${quote(issue.input)}, not 2`)

const platformSchema = object({
  os: string,
  architecture: string,
  variant: v.optional(string),
  'os.version': v.optional(string),
})
const descriptorEntries = {
  mediaType: string,
  digest,
  size,
  annotations: orNull(stringMap),
  platform: orNull(platformSchema),
}
const layerSchema = object({
  ...descriptorEntries,
  mediaType: v.pipe(
    string,
    // A foreign layer is at a URL in the manifest, which is never fetched (R18).
    v.check(type => !/foreign|nondistributable/.test(type), 'is a foreign layer, which is not fetched from its URL'),
    v.check(
      type => compressionOf(type) !== undefined,
      i => `is ${quote(i.input)}, which is not a layer of a container image`,
    ),
  ),
})
const imageConfigTypes: readonly string[] = [oci.config, docker.config]
const manifestSchema = object({
  schemaVersion: two,
  mediaType: v.optional(
    v.pipe(
      string,
      v.check(isManifest, issue => `is ${quote(issue.input)}, not an image manifest's`),
    ),
    oci.manifest,
  ),
  config: object({
    ...descriptorEntries,
    mediaType: v.pipe(
      string,
      v.check(
        t => imageConfigTypes.includes(t),
        i => `is ${quote(i.input)}: not a container image, but another artifact`,
      ),
    ),
  }),
  layers: v.pipe(
    v.nullable(list(layerSchema)),
    v.transform(layers => layers ?? []),
  ),
  annotations: orNull(stringMap),
})
const indexSchema = object({
  schemaVersion: two,
  mediaType: v.optional(
    v.pipe(
      string,
      v.check(isIndex, issue => `is ${quote(issue.input)}, not an index's`),
    ),
    oci.index,
  ),
  manifests: v.pipe(
    v.nullable(list(object(descriptorEntries))),
    v.transform(manifests => manifests ?? []),
  ),
  annotations: orNull(stringMap),
})

const configSchema = object({
  created: orNull(text),
  author: orNull(text),
  architecture: string,
  os: string,
  variant: orNull(string),
  'os.version': orNull(string),
  'os.features': orNull(strings),
  config: orNull(
    object({
      User: orNull(text),
      ExposedPorts: orNull(objectMap),
      Env: orNull(strings),
      Entrypoint: v.nullish(strings),
      Cmd: v.nullish(strings),
      Volumes: v.nullish(objectMap),
      WorkingDir: orNull(text),
      Labels: v.nullish(stringMap),
      StopSignal: orNull(text),
    }),
  ),
  rootfs: object({
    type: v.literal('layers', issue => `is ${quote(issue.input)}, not "layers"`),
    diff_ids: v.pipe(
      v.nullable(list(digest)),
      v.transform(ids => ids ?? []),
    ),
  }),
  history: orNull(
    v.array(
      object({
        created: orNull(text),
        created_by: orNull(text),
        author: orNull(text),
        comment: orNull(text),
        empty_layer: orNull(v.boolean('is not true or false')),
      }),
      'is not a list',
    ),
  ),
})

/** The typed value. @throws BaleError at the first wrong field */
function check<Schema extends v.GenericSchema>(schema: Schema, value: unknown, where: string): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const path = (issue.path ?? []).map(item => (typeof item.key === 'number' ? `[${item.key}]` : `.${String(item.key)}`))
  const place = path.join('').replace(/^\./, '')
  throw new BaleError('input', issue.message, { where: place === '' ? where : `${where} ${place}` })
}

/** Hostile text for a message: shortened, with control characters escaped. */
function quote(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing'
  return json.length > 100 ? `${json.slice(0, 100)}…` : json
}
