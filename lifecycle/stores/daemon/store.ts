import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { leaseName } from '../../files/lease.ts'
import { stageFile } from '../../files/staged.ts'
import { type Digest, isDigest } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import type { Layer } from '../../image/layer.ts'
import { compressionOf } from '../../image/media-types.ts'
import { parseReference } from '../../image/reference.ts'
import { decompress } from '../../layers/compression/decompress.ts'
import { type Saved, readSavedImage, savedEntries, savedImage } from '../docker-archive/format.ts'
import { layerStaging } from '../archive/staging.ts'
import { tarBytes } from '../archive/tar-bytes.ts'
import { type FilePlace, openTarFile } from '../archive/tar-file.ts'
import { type DaemonApi, type InspectedImage, daemonApi } from './api.ts'
import { lazyImage } from './lazy-image.ts'
import { dockerName } from '../docker-name.ts'
import type { ImageStore, OnTransfer } from '../store.ts'
import { transfer } from '../transfer.ts'

export interface DaemonOptions {
  /** The socket of the Docker Engine API, or of Podman's. */
  readonly socketPath: string
  /** Directory for images and layers in transit. The caller deletes it afterwards. */
  readonly tmpDir: string
  readonly onTransfer?: OnTransfer
}

export interface DaemonStore extends ImageStore {
  /**
   * The same images, read lazily: config and history come from the daemon's `inspect` and `history`, and layers are fetched
   * when they are read. Building on such an image, or reusing its layers, costs no `docker save`.
   */
  readonly lazy: ImageStore
}

/**
 * The images of a Docker or Podman daemon. A name is a reference or, for a pull, also an image ID.
 *
 * The API can read neither a single layer nor the bytes of a config, so an image is pulled as a whole and only once, by `docker save`;
 * the digest of its config is its image ID. Layers that the daemon has are not sent back: Docker finds layers by the chain of
 * their diffIDs before it reads the archive, so their files may be empty. If the daemon has deleted such a layer meanwhile, the
 * load fails with a wrong digest before any name moves, and all layers are sent.
 */
export function daemonStore(options: DaemonOptions): DaemonStore {
  const { socketPath, tmpDir, onTransfer } = options
  const description = `daemon ${socketPath}`
  const api = daemonApi(socketPath)
  const staged = layerStaging(tmpDir)
  const present = new PresentLayers()
  /** By image ID. */
  const pulled = new Map<Digest, Promise<Saved>>()

  const find = (name: string, signal?: AbortSignal): Promise<InspectedImage | undefined> =>
    api.inspect(isDigest(name) ? name : dockerName(parseReference(name)), signal)

  const pullOnce = (found: InspectedImage, signal?: AbortSignal): Promise<Saved> => {
    let saved = pulled.get(found.id)
    if (saved === undefined) {
      saved = saveImage(api, found, { tmpDir, description, onTransfer, signal })
      pulled.set(found.id, saved)
      saved.then(
        it => present.addSaved(it),
        () => pulled.delete(found.id),
      )
    }
    return saved
  }
  const readLazily = async (found: InspectedImage, signal?: AbortSignal): Promise<Image> => {
    const history = await api.history(found.id, signal)
    const tarOf = async function* (diffId: Digest, reading?: AbortSignal): AsyncGenerator<Uint8Array> {
      const { image } = await pullOnce(found, reading)
      const layer = image.layers.find(l => l.diffId === diffId) ?? unknownLayer(diffId, description)
      const compression = compressionOf(layer.mediaType) ?? 'none'
      // The reader may keep a layer's bytes, and `decompress` reuses its buffer.
      for await (const chunk of decompress(layer.open(reading), compression, { digest: diffId, signal: reading }))
        yield Buffer.from(chunk)
    }
    const image = lazyImage({ ...found, history }, tarOf, `${description} ${found.id}`)
    present.addLazy(image, () => pullOnce(found, signal))
    return image
  }
  /** Returns the place of a layer's tar on this machine. Fetches it first if only the daemon has it. */
  const placeOf = async (layer: Layer, signal?: AbortSignal): Promise<FilePlace> => {
    const { diffId } = layer
    const here = () => present.placeOf(diffId) ?? (staged.get(diffId) && staged.placeOf(diffId))
    if (here() === undefined) await present.save(layer)
    if (here() === undefined) await staged.put(layer, signal)
    return here() ?? unknownLayer(diffId, description)
  }
  const load = async (image: Image, names: readonly string[], there: number, signal?: AbortSignal): Promise<void> => {
    const places = new Map<Digest, FilePlace>()
    for (const layer of image.layers.slice(there)) places.set(layer.diffId, await placeOf(layer, signal))
    const size = [...places.values()].reduce((sum, place) => sum + place.size, 0)
    const moved = transfer(onTransfer, names[0] ?? image.imageId, size)
    const entries = savedEntries([{ content: image, names }], diffId => places.get(diffId) as FilePlace, there)
    await api.load(counted(tarBytes(entries, signal), moved), signal)
  }

  const store: ImageStore = {
    description,

    async pull(name, _platform, signal) {
      const found = await find(name, signal)
      return found && (await pullOnce(found, signal)).image
    },

    // `docker save` and `inspect` only support images: of an index, the daemon has the image of one platform.
    pullIndex: () => Promise.resolve(undefined),

    async checkWrite(names, signal) {
      names.forEach(tagOf)
      await api.ping(signal)
    },

    async putLayer(layer, signal) {
      signal?.throwIfAborted()
      const diffId = layer.kind === 'layer' ? layer.diffId : layer.known?.diffId
      const there = diffId && present.get(diffId)
      if (there === undefined) return staged.put(layer, signal)
      // The given layer may be cheaper to read than the daemon's.
      return layer.kind === 'layer' && present.placeOf(there.diffId) === undefined ? layer : there
    },

    async putImage(image, names, signal) {
      signal?.throwIfAborted()
      const tags = names.map(tagOf)
      const layers = image.layers.map(layer => {
        const known = present.get(layer.diffId) ?? staged.get(layer.diffId) ?? unknownLayer(layer.diffId, description)
        return present.placeOf(known.diffId) === undefined && !staged.get(known.diffId) ? layer : known
      })
      const saved = savedImage(image.configBytes, image.config, layers)
      const there = present.prefixOf(saved)
      if (
        there === 0 ||
        !(await api.keepsChains(signal)) ||
        !(await succeeds(load(saved, tags, there, signal), signal))
      ) {
        await load(saved, tags, 0, signal)
      }
      const imageId = await stored(api, saved, tags, signal)
      return { imageId, names: tags }
    },
  }
  const lazy: ImageStore = {
    ...store,
    async pull(name, _platform, signal) {
      const found = await find(name, signal)
      return found && (await readLazily(found, signal))
    },
  }
  return { ...store, lazy }
}

/** Layers that the daemon has, known from its images. The bytes of saved images are also on this machine. */
class PresentLayers {
  readonly #layers = new Map<Digest, { layer: Layer; place?: FilePlace; save?: () => Promise<unknown> }>()
  readonly #chains: (readonly Digest[])[] = []

  addSaved({ image, plain }: Saved): void {
    for (const layer of image.layers) {
      const place = plain.get(layer.diffId)
      if (place !== undefined) this.#layers.set(layer.diffId, { layer, place })
    }
    this.#addChain(image)
  }

  addLazy(image: Image, save: () => Promise<unknown>): void {
    for (const layer of image.layers)
      if (!this.#layers.has(layer.diffId)) this.#layers.set(layer.diffId, { layer, save })
    this.#addChain(image)
  }

  /** Fetches the layer from the daemon if its bytes are nowhere else. */
  async save(layer: Layer): Promise<void> {
    const known = this.#layers.get(layer.diffId)
    if (known?.layer === layer) await known.save?.()
  }

  #addChain(image: Image): void {
    this.#chains.push(image.layers.map(layer => layer.diffId))
  }

  get(diffId: Digest): Layer | undefined {
    return this.#layers.get(diffId)?.layer
  }

  placeOf(diffId: Digest): FilePlace | undefined {
    return this.#layers.get(diffId)?.place
  }

  /** How many lowest layers the image shares with an image in the daemon. */
  prefixOf(image: Image): number {
    const lengths = this.#chains.map(chain => {
      const different = image.layers.findIndex((layer, i) => layer.diffId !== chain[i])
      return different < 0 ? image.layers.length : different
    })
    return Math.max(0, ...lengths)
  }
}

interface SaveContext {
  readonly tmpDir: string
  readonly description: string
  readonly onTransfer: OnTransfer | undefined
  readonly signal: AbortSignal | undefined
}

/** Saves an image by its ID, since its name may mean another image by now. */
async function saveImage(api: DaemonApi, found: InspectedImage, context: SaveContext): Promise<Saved> {
  const { tmpDir, description, onTransfer, signal } = context
  const path = join(tmpDir, `saved-${leaseName()}.tar`)
  const moved = transfer(onTransfer, found.id)
  await using file = await stageFile(tmpDir)
  for await (const chunk of counted(api.save(found.id, signal), moved)) await file.write(chunk)
  await file.commit(path)
  const tar = await openTarFile(path, signal)
  const saved = tar && (await readSavedImage(tar, '', description, signal))
  const same = saved?.image.imageId === found.id || sameLayers(saved?.image, found)
  if (saved !== undefined && same) return saved
  throw new BaleError('daemon', `it did not save the image ${found.id}, but another one`, { where: description })
}

/** The ID of the loaded image. Another client may already have given its names to another image. */
async function stored(api: DaemonApi, image: Image, tags: readonly string[], signal?: AbortSignal): Promise<Digest> {
  const found = await api.inspect(image.imageId, signal)
  if (found !== undefined) return found.id
  for (const tag of tags) {
    // With containerd, an image's ID is the digest of a manifest that the daemon made.
    const named = await api.inspect(tag, signal)
    if (named !== undefined && sameLayers(image, named)) return named.id
  }
  throw new BaleError('daemon', `it reported no error, but it does not have the image ${image.imageId}`, {
    fix: 'look into its log',
  })
}

function sameLayers(image: Image | undefined, { diffIds }: InspectedImage): boolean {
  return image?.layers.length === diffIds.length && image.layers.every((layer, i) => layer.diffId === diffIds[i])
}

/** Returns whether the attempt succeeded. Rethrows failures other than the daemon's. */
async function succeeds(attempt: Promise<void>, signal?: AbortSignal): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof BaleError && error.code === 'daemon') return false
    throw error
  }
}

async function* counted(bytes: AsyncIterable<Uint8Array>, moved: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    moved(chunk.length)
    yield chunk
  }
}

function tagOf(name: string): string {
  const reference = parseReference(name)
  if (reference.digest === undefined) return dockerName(reference)
  throw new BaleError('arguments', `an image in a daemon cannot have the name ${name}`, { fix: 'give a tag' })
}

function unknownLayer(digest: Digest, where: string): never {
  throw new BaleError('failed', `the layer ${digest} was not written to the store, so no image can use it`, {
    where,
  })
}
