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

// Source on its way to where it is built: an image of one layer with the source as `/workspace`, beside the image that is made of it.

const imagePath = '/workspace'
/** Tells such images from others, and each from all others: a manifest is deleted by its digest. */
const annotation = 'io.bale.source'

export interface SourceImage {
  /** With its digest: what `bale source` is given. */
  readonly reference: string
  /** Deletes it. A registry that refuses is warned of, with what is left there. */
  remove(reporter: Reporter): Promise<void>
}

export interface SourceImageInput {
  readonly dir: string
  readonly source: SourceSettings
  /** The image that will be made: its repository takes the source. */
  readonly beside: Reference
  readonly stores: Stores
  readonly settings: Settings
  readonly reporter: Reporter
}

/** Packs the source as a build here would take it, and pushes it. @throws BaleError; nothing is left then but blobs */
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
    // Stopped, perhaps, when the registry had it all.
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
      text: `the source stays in the registry as ${name}: ${(error as Error).message}`,
      fix: 'allow the registry to delete manifests (REGISTRY_STORAGE_DELETE_ENABLED of docker-registry), or delete tags that begin with bale-source- by a rule of its own',
    })
  }
}

export interface UnpackSource {
  /** `docker://NAME@DIGEST` */
  readonly from: string
  /** A directory that is not there yet. */
  readonly to: string
  /**
   * Deletes the image then: a build whose `bale` is killed leaves no source in the registry. Where that is refused, whoever
   * pushed it says so.
   */
  readonly deleteImage: boolean
  readonly stores: Stores
  readonly settings: Settings
}

/** Puts the source of such an image into a directory. @throws BaleError 'input' for another image */
export async function unpackSource(input: UnpackSource, signal: AbortSignal): Promise<void> {
  const { from: text, to: dir, stores, settings, deleteImage } = input
  const { source, name } = await stores.source(text)
  const image = await source.pull(name, settings.platform, signal)
  if (image === undefined)
    throw new BaleError('input', 'the source is gone from the registry', { where: text, fix: 'build again' })
  const [layer, ...others] = image.layers
  if (image.manifest.annotations?.[annotation] === undefined || layer === undefined || others.length > 0)
    throw new BaleError('input', 'this image holds no source', {
      where: text,
      fix: 'give an image that bale build --on kubernetes has pushed, or a repository of git',
    })
  await unpackTree(layerTar(layer, signal), { from: imagePath, to: dir, signal })
  if (!deleteImage) return
  const { remove } = await stores.open(stores.parse(text))
  await remove?.(image.digest, signal).catch(() => signal.throwIfAborted())
}
