import { randomBytes } from 'node:crypto'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import type { Digest } from '../image/digest.ts'
import { makeImage } from '../image/image.ts'
import { type Reference, atDigest, formatReference } from '../image/reference.ts'
import { layerTar } from '../layers/layer-tar.ts'
import { layerSource } from '../layers/tree/pack.ts'
import { unpackTree } from '../layers/tree/unpack.ts'
import type { Stores } from '../stores/open.ts'
import { registry } from '../stores/registry/transport.ts'
import { copySource } from './copy-source.ts'
import type { Settings } from './settings.ts'
import type { SourceSettings } from './source-filter.ts'
import { openWorkspace } from './workspace.ts'

// Transports source to a remote build: an image of one layer with the source as `/workspace`, in the repository of the app image.

const imagePath = '/workspace'
/** Marks source images, and makes each unique, since a manifest is deleted by its digest. */
const annotation = 'io.bale.source'

export interface SourceImage {
  /** The reference with digest, for `bale source`. */
  readonly reference: string
  /** Deletes the image. If the registry refuses, warns and names what stays there. */
  remove(reporter: Reporter): Promise<void>
}

export interface SourceImageInput {
  readonly dir: string
  readonly source: SourceSettings
  /** The app image, whose repository takes the source. */
  readonly beside: Reference
  readonly stores: Stores
  readonly settings: Settings
  readonly reporter: Reporter
}

/** Packs the files that a local build would use, and pushes them. @throws BaleError; then only blobs stay in the registry */
export async function pushSource(input: SourceImageInput, signal: AbortSignal): Promise<SourceImage> {
  const { dir, source, beside, stores, settings, reporter } = input
  const { filter, keepsGit } = source
  await using workspace = await openWorkspace(settings.cacheDir)
  await copySource(dir, workspace.app, { reporter, filter, keepsGit, signal })
  const id = randomBytes(6).toString('hex')
  const at = registry.at({ registry: beside.registry, repository: beside.repository, tag: `bale-source-${id}` })
  const { store, remove } = await stores.open(at)
  const tree = { kind: 'tree', imagePath, hostPath: workspace.app, uid: 0, gid: 0 } as const
  const layer = await store.putLayer(layerSource('Source', [tree]), signal)
  const { os, architecture } = settings.platform
  const config = { os, architecture, rootfs: { type: 'layers', diff_ids: [] } } as const
  const image = makeImage(config, [layer], 'oci', { [annotation]: id })
  await store.putImage(image, [at.name], signal).catch(async (error: unknown) => {
    // The push may have been stopped after the registry had stored the image.
    await remove?.(image.digest, AbortSignal.timeout(10_000)).catch(() => {})
    throw error
  })
  return {
    reference: formatReference(atDigest({ registry: beside.registry, repository: beside.repository }, image.digest)),
    remove: reporter => removeSource(at.name, image.digest, reporter, remove),
  }
}

async function removeSource(
  name: string,
  digest: Digest,
  reporter: Reporter,
  remove: ((digest: Digest, signal?: AbortSignal) => Promise<void>) | undefined,
): Promise<void> {
  try {
    await remove?.(digest, AbortSignal.timeout(30_000))
  } catch (error) {
    reporter.event({
      type: 'warning',
      text: `the source remains in the registry as ${name}: ${(error as Error).message}`,
      fix: 'allow the registry to delete manifests (REGISTRY_STORAGE_DELETE_ENABLED of docker-registry), or add a rule that deletes tags that begin with bale-source-',
    })
  }
}

export interface UnpackSource {
  /** `docker://NAME@DIGEST` */
  readonly from: string
  /** The target directory, which must not exist yet. */
  readonly to: string
  /**
   * Deletes the image after unpacking, so that no source stays in the registry if `bale` is killed. If the registry refuses, the
   * process that pushed it reports that.
   */
  readonly deleteImage: boolean
  readonly stores: Stores
  readonly settings: Settings
}

/** Unpacks the source of a source image into a directory. @throws BaleError 'input' for another image */
export async function unpackSource(input: UnpackSource, signal: AbortSignal): Promise<void> {
  const { from: text, to: dir, stores, settings, deleteImage } = input
  const { source, name } = await stores.source(text)
  const image = await source.pull(name, settings.platform, signal)
  if (image === undefined)
    throw new BaleError('input', 'the source is no longer in the registry', { where: text, fix: 'build again' })
  const [layer, ...others] = image.layers
  if (image.manifest.annotations?.[annotation] === undefined || layer === undefined || others.length > 0)
    throw new BaleError('input', 'this image does not contain source', {
      where: text,
      fix: 'give an image that bale build --on kubernetes has pushed, or a git repository',
    })
  await unpackTree(layerTar(layer, signal), { from: imagePath, to: dir, signal })
  if (!deleteImage) return
  const { remove } = await stores.open(stores.parse(text))
  await remove?.(image.digest, signal).catch(() => signal.throwIfAborted())
}
