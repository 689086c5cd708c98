import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import { type ImageIndex, isImageIndex, requireImagesOnly } from '../../image/image-index.ts'
import { type Layer, type LayerDigests, type LayerSource, storedOrSource } from '../../image/layer.ts'
import { selectPlatform } from '../../image/validate.ts'
import { compressLayer } from '../../layers/compression/compress.ts'
import { verified } from '../../layers/compression/verify.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { ImageStore } from '../store.ts'

/** A store in the program's memory: for tests, and for images that are passed on at once. */
export function memoryStore(packing: Packing = {}): ImageStore {
  const blobs = new Map<Digest, Uint8Array>()
  const contents = new Map<string, Image | ImageIndex>()

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
      digests = await compressLayer(layer, keep, { ...packing, signal })
    }
    blobs.set(digests.digest, Buffer.concat(chunks))
    return digests
  }
  const keep = (image: Image): Image => {
    const missing = image.manifest.layers.find(({ digest }) => !blobs.has(digest))
    if (missing !== undefined) throw new BaleError('failed', `the layer ${missing.digest} is not in memory`)
    return { ...image, layers: image.layers.map(stored) }
  }

  return {
    description: 'memory',

    pull(name, platform, signal) {
      return attempt(() => {
        signal?.throwIfAborted()
        const found = contents.get(name)
        if (found === undefined || !isImageIndex(found)) return found
        const { digest } = selectPlatform(found.document, platform, `memory ${name}`)
        return found.manifests.find(({ image }) => image.digest === digest)?.image
      })
    },

    pullIndex(name, signal) {
      return attempt(() => {
        signal?.throwIfAborted()
        const found = contents.get(name)
        return found !== undefined && isImageIndex(found) ? found : undefined
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
        const kept = keep(image)
        for (const name of names) contents.set(name, kept)
        const { digest, imageId } = image
        return { digest, imageId, manifestSize: image.manifestBytes.length, names }
      })
    },

    putIndex(index, names, signal) {
      return attempt(() => {
        signal?.throwIfAborted()
        requireImagesOnly(index, 'memory')
        const manifests = index.manifests.map(entry => ({ ...entry, image: keep(entry.image) }))
        for (const name of names) contents.set(name, { ...index, manifests })
        return { digest: index.digest, manifestSize: index.bytes.length, names }
      })
    },
  }
}

/** Runs at once, and reports a failure as a rejected promise. */
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
