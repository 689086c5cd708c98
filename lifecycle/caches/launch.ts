import { BaleError } from '../errors.ts'
import type { Digest } from '../image/digest.ts'
import type { Layer, LayerSource } from '../image/layer.ts'
import { compressionOf } from '../image/media-types.ts'
import { decompress } from '../layers/compression/decompress.ts'
import type { ImageStore } from '../stores/store.ts'
import type { Cache } from './cache.ts'
import { directoryCache } from './directory.ts'

export interface LaunchCacheOptions {
  /** Reports that the launch cache could not be written. The next build takes longer. */
  onWarning?(text: string): void
}

/**
 * A store with a launch cache: a cache that holds the layers of the app image uncompressed (platform.md, "analyzer" and
 * "exporter", `<launch-cache>`). A daemon returns only whole images, no single layers. Layers are read from the cache if
 * it has them. Once an image is stored, its layers that came from a source or are already in the cache become the next
 * generation of the cache.
 * @param dir in the Go lifecycle's layout, so that either can use the other's cache
 */
export function withLaunchCache(store: ImageStore, dir: string, options: LaunchCacheOptions = {}): ImageStore {
  // Without warnings: the cache is expected to lack the run image's layers.
  const cache = directoryCache(dir)
  const made = new Set<Digest>()
  return {
    description: store.description,
    checkWrite: (names, signal) => store.checkWrite(names, signal),

    async pull(name, platform, signal) {
      const image = await store.pull(name, platform, signal)
      return image && { ...image, layers: image.layers.map(layer => readFrom(cache, layer)) }
    },

    pullIndex: (name, signal) => store.pullIndex(name, signal),

    async putLayer(layer, signal) {
      const stored = await store.putLayer(layer, signal)
      if (layer.kind === 'source') made.add(stored.diffId)
      return stored
    },

    async putImage(image, names, signal) {
      const published = await store.putImage(image, names, signal)
      try {
        await keepLayers(cache, image.layers, made, signal)
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof BaleError)) throw error
        options.onWarning?.(`${cache.description} could not be written for launch layers: ${error.message}`)
      }
      return published
    },
  }
}

/** Returns the layer, with its bytes from the cache if they are there undamaged. */
function readFrom(cache: Cache, layer: Layer): Layer {
  // Bytes that another tool compressed cannot be made again from the tar.
  if (layer.digest !== layer.diffId) return layer
  const open = async function* (signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const intact = await isIntact(cache, layer.diffId, signal)
    const tar = intact ? await cache.open(layer.diffId, signal) : undefined
    if (tar === undefined) yield* layer.open(signal)
    else for await (const chunk of tar) yield Buffer.from(chunk) // copied, since a reader may keep a layer's bytes
  }
  return { ...layer, open, source: layer.source && { ...layer.source, tar: open } }
}

/** Returns whether the cache has the layer undamaged. Once bytes have been handed out, no other source can replace them. */
async function isIntact(cache: Cache, diffId: Digest, signal?: AbortSignal): Promise<boolean> {
  try {
    const tar = await cache.open(diffId, signal)
    if (tar === undefined) return false
    for await (const _chunk of tar) void _chunk
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof BaleError) return false
    throw error
  }
}

async function keepLayers(
  cache: Cache,
  layers: readonly Layer[],
  made: ReadonlySet<Digest>,
  signal?: AbortSignal,
): Promise<void> {
  await using writer = await cache.begin(signal)
  for (const layer of layers) {
    const has = (await cache.open(layer.diffId, signal)) !== undefined
    if (has || made.has(layer.diffId)) await writer.put(sourceOf(layer), signal)
  }
  // Only layers are stored. The app image's own label describes them.
  await writer.commit({ buildpacks: [] })
}

function sourceOf(layer: Layer): LayerSource {
  return {
    kind: 'source',
    createdBy: layer.digest,
    known: layer,
    tar: signal => decompress(layer.open(signal), compressionOf(layer.mediaType) ?? 'none', { signal }),
  }
}
