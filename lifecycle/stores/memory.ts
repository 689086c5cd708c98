import { BaleError } from '../errors.ts'
import type { Digest } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import { type Layer, type LayerDigests, type LayerSource, storedOrSource } from '../image/layer.ts'
import type { Compression } from '../image/media-types.ts'
import { compressLayer } from '../layers/compression/compress.ts'
import { verified } from '../layers/compression/verify.ts'
import type { ImageStore } from './store.ts'

/** A store that lasts as long as the program: for tests, and for images that are passed on at once. */
export function memoryStore(options: { readonly compression?: Compression } = {}): ImageStore {
  const { compression = 'gzip' } = options
  const blobs = new Map<Digest, Uint8Array>()
  const images = new Map<string, Image>()

  const stored = ({ diffId, digest, size, mediaType }: LayerDigests): Layer => {
    return {
      kind: 'layer',
      diffId,
      digest,
      size,
      mediaType,
      open: signal => inPieces(blobs.get(digest) as Uint8Array, signal),
    }
  }
  const write = async (layer: LayerSource | Layer, signal?: AbortSignal): Promise<LayerDigests> => {
    const chunks: Uint8Array[] = []
    const keep = (chunk: Uint8Array): void => void chunks.push(Buffer.from(chunk))
    let digests: LayerDigests
    if (layer.kind === 'layer') {
      for await (const chunk of verified(layer.open(signal), layer)) {
        signal?.throwIfAborted()
        keep(chunk)
      }
      digests = layer
    } else {
      digests = await compressLayer(layer, keep, { compression, ...(signal && { signal }) })
    }
    blobs.set(digests.digest, Buffer.concat(chunks))
    return digests
  }

  return {
    description: 'memory',

    pull(name, _platform, signal) {
      return attempt(() => {
        signal?.throwIfAborted()
        return images.get(name)
      })
    },

    checkWrite(_names, signal) {
      return attempt(() => signal?.throwIfAborted())
    },

    async putLayer(given, signal) {
      signal?.throwIfAborted()
      const layer = storedOrSource(given)
      const known = layer.kind === 'layer' ? layer : layer.known
      return stored(known !== undefined && blobs.has(known.digest) ? known : await write(layer, signal))
    },

    putImage(image, names, signal) {
      return attempt(() => {
        signal?.throwIfAborted()
        const missing = image.manifest.layers.find(({ digest }) => !blobs.has(digest))
        if (missing !== undefined) throw new BaleError('failed', `the layer ${missing.digest} is not in memory`)
        const { digest, imageId } = image
        const kept = { ...image, layers: image.layers.map(stored) }
        for (const name of names) images.set(name, kept)
        return { digest, imageId, manifestSize: image.manifestBytes.length, names }
      })
    },
  }
}

/** Runs at once, and fails as a promise does. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise(resolve => resolve(work()))
}

const pieceSize = 256 * 1024

async function* inPieces(bytes: Uint8Array, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceSize) {
    signal?.throwIfAborted()
    yield await Promise.resolve(bytes.subarray(at, at + pieceSize))
  }
  signal?.throwIfAborted()
}
