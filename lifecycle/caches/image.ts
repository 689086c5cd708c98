import { createHash } from 'node:crypto'
import { BaleError } from '../errors.ts'
import { constantDate, labelOf } from '../image/config.ts'
import { type Digest, isDigest } from '../image/digest.ts'
import { type Image, makeImage } from '../image/image.ts'
import type { Layer, LayerSource } from '../image/layer.ts'
import type { Platform } from '../image/manifest.ts'
import { contentTar } from '../layers/layer-tar.ts'
import { formatCacheMetadata, labels, parseCacheMetadata } from '../spec/labels.ts'
import type { ImageSink, ImageSource } from '../stores/store.ts'
import type { Cache, CacheWriter } from './cache.ts'
import { LastRead } from './last-read.ts'
import { warnOf } from './warn.ts'

/** The place of a cache image: usually a repository of a registry. */
export interface CacheImageAt {
  readonly source: ImageSource
  readonly sink: ImageSink
  readonly name: string
}

export interface ImageCacheOptions {
  /** For the image's config. The image is never run. */
  readonly platform: Platform
  /** Whether to use an image with another platform; by default yes, since not every lifecycle writes the right one. */
  readonly otherPlatforms?: 'used' | 'ignored'
  /** Reports something missing or damaged in the cache. The build continues without it. */
  onWarning?(text: string): void
  /** How long a generation is used after it was stored, in milliseconds. Without a limit by default. */
  readonly timeToLive?: number | undefined
  /** Milliseconds since 1970; the clock, for tests. */
  readonly now?: (() => number) | undefined
}

/** When a cache image expires, in milliseconds since 1970. Other lifecycles do not read it. */
const expiryLabel = 'io.bale.cache.expires'

/**
 * A cache in an image, for builds on short-lived machines: layers of any compression, and the metadata in a label,
 * as the Go lifecycle reads and writes it (platform.md, "Caching"). Several builds may share one: each commits a whole
 * generation by moving the tag, and the last one stays. Blobs that the registry has are not sent again.
 *
 * An image that was made for another purpose is neither trusted nor replaced (C15).
 */
export function imageCache(at: CacheImageAt, options: ImageCacheOptions): Cache {
  const { source, name } = at
  const now = options.now ?? Date.now
  const description = `cache image ${name}`
  const warn = warnOf(description, options)
  const current = new LastRead(signal => source.pull(name, options.platform, signal))

  return {
    description,

    async metadata(signal) {
      signal?.throwIfAborted()
      try {
        const image = await current.again(signal)
        if (image === undefined) return undefined
        const label = labelOf(image.config, labels.cache)
        if (label === undefined) throw notCache()
        const { os, architecture } = image.config
        const isOther = os !== options.platform.os || architecture !== options.platform.architecture
        if (isOther && options.otherPlatforms === 'ignored') return undefined
        if (Number(labelOf(image.config, expiryLabel) ?? Infinity) <= now()) return undefined
        return parseCacheMetadata(label, `label ${labels.cache}`)
      } catch (error) {
        return warn('its metadata', error, signal)
      }
    },

    async open(diffId, signal) {
      signal?.throwIfAborted()
      try {
        if (!isDigest(diffId)) throw new BaleError('input', 'it is not a digest') // C05
        const layer = cachedLayer(await current.get(signal), diffId)
        if (layer === undefined) throw new BaleError('input', 'it is not there')
        const tar = contentTar(layer, signal) // the registry's store checks the compressed form
        if (tar === undefined) throw new BaleError('input', `it has an unknown media type: ${layer.mediaType}`)
        return tar
      } catch (error) {
        return warn(`the layer ${JSON.stringify(diffId.slice(0, 100))}`, error, signal)
      }
    },

    async begin(signal) {
      signal?.throwIfAborted()
      const previous = await current.again(signal).catch((error: unknown) => {
        signal?.throwIfAborted()
        // Damaged or unreadable. If it also cannot be written, writing reports that.
        if (error instanceof BaleError) return undefined
        throw error
      })
      if (previous !== undefined && labelOf(previous.config, labels.cache) === undefined) throw notCache()
      const { platform, timeToLive } = options
      const expiry = (): Record<string, string> =>
        timeToLive === undefined ? {} : { [expiryLabel]: String(now() + timeToLive) }
      return imageCacheWriter(at, { platform, expiry }, previous, image => {
        current.set(image)
      })
    },
  }
}

function imageCacheWriter(
  { sink, name }: CacheImageAt,
  { platform, expiry }: { readonly platform: Platform; readonly expiry: () => Record<string, string> },
  previous: Image | undefined,
  committed: (image: Image) => void,
): CacheWriter {
  const layers = new Map<Digest, Layer>()
  return {
    async put(source, signal) {
      signal?.throwIfAborted()
      const diffId = source.known?.diffId ?? (await diffIdOf(source, signal))
      const reused = layers.get(diffId) ?? (await keep(sink, cachedLayer(previous, diffId), signal))
      const layer = reused ?? (await sink.putLayer(source, signal))
      layers.set(layer.diffId, layer)
      return { diffId: layer.diffId, size: layer.size, reused: reused !== undefined }
    },

    async commit(metadata) {
      // Some registries refuse an image without layers.
      const stored = layers.size === 0 ? [await sink.putLayer(emptyLayer)] : [...layers.values()]
      // Sorted, so that the image does not depend on which layer arrived first.
      const sorted = stored.sort((a, b) => (a.diffId < b.diffId ? -1 : 1))
      const image = makeImage(
        {
          created: constantDate,
          ...platform,
          config: { Labels: { [labels.cache]: formatCacheMetadata(metadata), ...expiry() } },
          rootfs: { type: 'layers', diff_ids: [] },
          // The Go lifecycle and pack panic on a cache image without an entry for each layer.
          history: sorted.map(() => ({ created: constantDate, created_by: 'Cached layer' })),
        },
        sorted,
      )
      await sink.putImage(image, [name])
      committed(image)
    },

    // Blobs that were put without a commit belong to no image. The registry's garbage collection deletes them.
    async [Symbol.asyncDispose]() {},
  }
}

/** A tar without entries: two blocks of zeros end it (POSIX, pax, "ustar Interchange Format"). */
const emptyLayer: LayerSource = {
  kind: 'source',
  createdBy: 'empty cache',
  async *tar() {
    yield await Promise.resolve(Buffer.alloc(1024))
  },
}

/** Reuses a layer of the previous generation, if the registry still has it. */
async function keep(sink: ImageSink, layer: Layer | undefined, signal?: AbortSignal): Promise<Layer | undefined> {
  if (layer === undefined) return undefined
  try {
    return await sink.putLayer(layer, signal)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof BaleError) return undefined
    throw error
  }
}

/** Hashes first and sends only what is new: reading and hashing a tree costs a tenth of compressing it. */
async function diffIdOf(source: LayerSource, signal?: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256')
  for await (const chunk of source.tar(signal)) {
    signal?.throwIfAborted()
    hash.update(chunk)
  }
  return `sha256:${hash.digest('hex')}`
}

function cachedLayer(image: Image | undefined, diffId: Digest): Layer | undefined {
  return image?.layers.find(layer => layer.diffId === diffId)
}

function notCache(): BaleError {
  return new BaleError('arguments', `it is an image, but not a cache: it has no label ${labels.cache}`, {
    fix: 'give another name for the cache image; this image is not changed',
  })
}
