import { createHash } from 'node:crypto'
import { BaleError } from '../../errors.ts'
import { type Digest, digestOf, hexOf } from '../../image/digest.ts'
import { type Image, assembleImage } from '../../image/image.ts'
import { parseJson } from '../../image/json.ts'
import type { ImageConfig } from '../../image/config.ts'
import type { Layer } from '../../image/layer.ts'
import type { Manifest } from '../../image/manifest.ts'
import { type Compression, layerMediaType, oci } from '../../image/media-types.ts'
import { parseReference } from '../../image/reference.ts'
import { parseConfig } from '../../image/validate.ts'
import { dockerName } from '../docker-name.ts'
import type { Archived } from '../archive/file.ts'
import type { ArchiveEntry } from '../archive/tar-bytes.ts'
import type { FilePlace, TarFile } from '../archive/tar-file.ts'

/**
 * The format of `docker save` and `docker load` (moby's image-spec v1.2, "Combined Image JSON + Filesystem Changeset
 * Format"): manifest.json lists the images, each with the paths of its config and of its layers.
 */
interface SavedImage {
  readonly config: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
}

const maxManifest = 16 * 1024 * 1024
const maxConfig = 16 * 1024 * 1024

/**
 * Finds the image of a name in the form of `dockerName`. The empty name means the only image.
 * @throws BaleError 'arguments' if there are several and the name is empty
 */
export async function readSavedImage(
  tar: TarFile,
  name: string,
  where: string,
  signal?: AbortSignal,
): Promise<Saved | undefined> {
  const images = await readManifest(tar, where)
  if (name === '' && images.length > 1) {
    const names = images.flatMap(image => image.names).slice(0, 20)
    throw new BaleError('arguments', `there are several images: ${names.map(n => JSON.stringify(n)).join(', ')}`, {
      where,
      fix: 'append a colon and one of the names',
    })
  }
  const saved = name === '' ? images[0] : images.find(image => image.names.includes(name))
  if (saved === undefined) return undefined
  const configBytes = await tar.read(saved.config, maxConfig)
  if (configBytes === undefined) throw missing(saved.config, where)
  const claimed = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(saved.config)?.[1]
  if (claimed !== undefined && hexOf(digestOf(configBytes)) !== claimed) {
    throw new BaleError('input', `the config sha256:${claimed} is damaged: its content has another digest`, { where })
  }
  const config = parseConfig(configBytes, `${where} ${saved.config}`)
  const diffIds = config.rootfs.diff_ids
  if (diffIds.length !== saved.layers.length) {
    throw new BaleError(
      'input',
      `there are ${saved.layers.length} layers, but the config has ${diffIds.length} diff_ids`,
      { where },
    )
  }
  const layers: Layer[] = []
  for (const [i, path] of saved.layers.entries())
    layers.push(await savedLayer(tar, path, diffIds[i] as Digest, where, signal))
  const plain = new Map<Digest, FilePlace>()
  for (const [i, { diffId, digest }] of layers.entries()) {
    const place = tar.placeOf(saved.layers[i] as string)
    if (place !== undefined && digest === diffId) plain.set(diffId, place)
  }
  return { image: savedImage(configBytes, config, layers), plain }
}

/** An image in an archive, and the places of its uncompressed layers. */
export interface Saved {
  readonly image: Image
  readonly plain: ReadonlyMap<Digest, FilePlace>
}

/** The format has no OCI manifest. This one is derived from config and layers, and is the same each time. */
export function savedImage(configBytes: Uint8Array, config: ImageConfig, layers: readonly Layer[]): Image {
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: oci.manifest,
    config: { mediaType: oci.config, digest: digestOf(configBytes), size: configBytes.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  }
  return assembleImage(Buffer.from(JSON.stringify(manifest)), manifest, configBytes, config, layers)
}

/**
 * The entries of an archive of these images. `placeOf` returns the places of their uncompressed layers.
 * @param present how many of an image's lowest layers the daemon already has. Their files are empty
 */
export function* savedEntries(
  images: readonly Archived<Image>[],
  placeOf: (diffId: Digest) => FilePlace,
  present = 0,
): Generator<ArchiveEntry> {
  const layers = new Set(images.flatMap(({ content: image }) => image.layers.slice(present).map(layer => layer.diffId)))
  const configs = new Map(images.map(({ content: image }) => [image.imageId, image.configBytes]))
  for (let i = 0; i < present; i++) yield { kind: 'bytes', name: blankName(i), content: new Uint8Array() }
  for (const diffId of layers) yield { kind: 'file', name: layerName(diffId), place: placeOf(diffId) }
  for (const [id, content] of configs) yield { kind: 'bytes', name: configName(id), content }
  const manifest = images.map(({ content: image, names }) => ({
    Config: configName(image.imageId),
    RepoTags: names.length === 0 ? null : names,
    Layers: image.layers.map(({ diffId }, i) => (i < present ? blankName(i) : layerName(diffId))),
  }))
  yield { kind: 'bytes', name: 'manifest.json', content: Buffer.from(JSON.stringify(manifest)) }
}

const blankName = (i: number): string => `blank_${i}`
const layerName = (diffId: Digest): string => `${hexOf(diffId)}.tar`
const configName = (id: Digest): string => `${hexOf(id)}.json`

async function readManifest(tar: TarFile, where: string): Promise<SavedImage[]> {
  const bytes = await tar.read('manifest.json', maxManifest)
  if (bytes === undefined) {
    const fix = tar.has('oci-layout') ? 'it is an OCI archive: write oci-archive: instead' : 'make one with docker save'
    throw new BaleError('input', 'it is not an archive of docker save: it has no manifest.json', { where, fix })
  }
  const value = parseJson(bytes, `${where} manifest.json`)
  if (!Array.isArray(value)) throw new BaleError('input', 'is not a list', { where: `${where} manifest.json` })
  return value.map((image: unknown, i) => parseSaved(image, `${where} manifest.json [${i}]`))
}

function parseSaved(value: unknown, where: string): SavedImage {
  const { Config, RepoTags, Layers } = (value ?? {}) as Record<string, unknown>
  const isStrings = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every(item => typeof item === 'string')
  const [names, layers] = [RepoTags ?? [], Layers ?? []]
  if (typeof Config !== 'string' || !isStrings(names) || !isStrings(layers)) {
    throw new BaleError('input', 'does not have a Config, RepoTags and Layers that are strings', { where })
  }
  return { config: Config, names: names.map(comparable), layers }
}

/** docker save writes `hello:latest` where podman save writes `docker.io/library/hello:latest`. */
function comparable(name: string): string {
  try {
    return dockerName(parseReference(name))
  } catch {
    return name // a name in another form equals only itself
  }
}

async function savedLayer(
  tar: TarFile,
  path: string,
  diffId: Digest,
  where: string,
  signal?: AbortSignal,
): Promise<Layer> {
  const size = tar.sizeOf(path)
  if (size === undefined) throw missing(path, where)
  const compression = await compressionOf(tar, path)
  const digest = compression === 'none' ? diffId : await compressedDigest(tar, path, signal)
  const mediaType = layerMediaType(compression)
  return { kind: 'layer', diffId, digest, size, mediaType, open: opening => tar.open(path, opening) }
}

/** Newer daemons save layers as they were pulled, maybe compressed. Only the bytes show it. */
async function compressionOf(tar: TarFile, path: string): Promise<Compression> {
  for await (const chunk of tar.open(path)) {
    const start = Buffer.from(chunk.subarray(0, 4)).toString('hex')
    if (start.startsWith('1f8b')) return 'gzip'
    return start === '28b52ffd' ? 'zstd' : 'none'
  }
  return 'none'
}

/** A path under `blobs/` contains the digest, which every reader of the layer verifies. Other layers are hashed. */
async function compressedDigest(tar: TarFile, path: string, signal?: AbortSignal): Promise<Digest> {
  const claimed = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1]
  if (claimed !== undefined) return `sha256:${claimed}`
  const hash = createHash('sha256')
  for await (const chunk of tar.open(path, signal)) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}

function missing(path: string, where: string): BaleError {
  return new BaleError(
    'input',
    `manifest.json names ${JSON.stringify(path.slice(0, 300))}, which is not in the archive`,
    { where },
  )
}
