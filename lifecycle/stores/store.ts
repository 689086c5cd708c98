import { BaleError } from '../errors.ts'
import type { Digest } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import type { ImageIndex } from '../image/image-index.ts'
import type { Layer, LayerSource } from '../image/layer.ts'
import type { Platform } from '../image/manifest.ts'

/**
 * Reads images from one store: a repository, a layout directory, an archive file, a daemon. A `name` identifies an image in it:
 * a tag or digest in a repository, a reference in Bale's own store. All implementations pass `test/contracts/stores.ts`.
 */
export interface ImageSource {
  /** For messages: `registry localhost:5000/app`, `oci:/tmp/out`. */
  readonly description: string
  /**
   * Returns the image of that name, or undefined if there is none. From an index, the image for `platform`. Manifest and config are
   * read, verified and validated. Layers are not read.
   * @throws BaleError if the store cannot be read, or has something other than an image
   */
  pull(name: string, platform: Platform, signal?: AbortSignal): Promise<Image | undefined>
  /**
   * Returns the index of that name with the images of all its platforms; undefined if there is none, or if the name is an image. A
   * separate method, since nearly every reader needs the image of only one platform.
   * @throws BaleError like `pull`, for the first of its images that cannot be read
   */
  pullIndex(name: string, signal?: AbortSignal): Promise<ImageIndex | undefined>
}

export interface ImageSink {
  readonly description: string
  /** Fails early, before any work, if `putImage` could not succeed; or `putIndex`, depending on `content`. */
  checkWrite(names: readonly string[], signal?: AbortSignal, content?: 'image' | 'index'): Promise<void>
  /**
   * Stores a layer and returns the stored form. A source is read in one pass (tar, hash, compress, hash, write). A
   * layer that the store already has, or can mount, moves no bytes.
   */
  putLayer(layer: LayerSource | Layer, signal?: AbortSignal): Promise<Layer>
  /** Stores config and manifest, then moves the names. All layers must have come from `putLayer`. */
  putImage(image: Image, names: readonly string[], signal?: AbortSignal): Promise<Published>
  /**
   * The same for an index: its images, then the index, and the names last. Absent if the store cannot hold indexes
   * (docker-archive, docker-daemon): `indexSink` reports that before anything is written.
   */
  putIndex?(index: ImageIndex, names: readonly string[], signal?: AbortSignal): Promise<PublishedIndex>
}

export interface PublishedIndex {
  readonly digest: Digest
  readonly manifestSize: number
  /** As in `Published`. */
  readonly names: readonly string[]
}

/**
 * Returns the sink if it can hold an index.
 * @throws BaleError 'arguments' if it cannot
 */
export function indexSink<Sink extends ImageSink>(sink: Sink): Sink & Required<Pick<ImageSink, 'putIndex'>> {
  if (holdsIndexes(sink)) return sink
  throw new BaleError('arguments', 'it cannot hold an index of images for several platforms', {
    where: sink.description,
    fix: 'use a registry, oci:DIR or oci-archive:FILE',
  })
}

const holdsIndexes = <Sink extends ImageSink>(sink: Sink): sink is Sink & Required<Pick<ImageSink, 'putIndex'>> =>
  sink.putIndex !== undefined

export interface Published {
  /** Digest of the manifest; absent if the store keeps no manifests (docker-archive, docker-daemon). */
  readonly digest?: Digest
  readonly imageId: Digest
  /** In bytes; manifest-size in report.toml (platform.md, "report.toml"). Absent like the digest. */
  readonly manifestSize?: number
  /** The names in this store: `localhost:5000/app:latest`. */
  readonly names: readonly string[]
}

export type ImageStore = ImageSource & ImageSink

/** Bytes moved, for progress; `id` identifies a transfer. */
export type OnTransfer = (transfer: { id: string; name: string; done: number; total?: number }) => void
