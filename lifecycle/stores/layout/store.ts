import { join, resolve } from 'node:path'
import { BaleError } from '../../errors.ts'
import { withLock } from '../../files/lock.ts'
import { checkWritable } from '../../files/staged.ts'
import { type Digest, digestOf } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import { type ImageIndex, isImageIndex, requireImagesOnly } from '../../image/image-index.ts'
import { type Layer, type LayerDigests, type LayerSource, storedOrSource } from '../../image/layer.ts'
import { compressLayer } from '../../layers/compression/compress.ts'
import { verified } from '../../layers/compression/verify.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { ImageStore, OnTransfer, Published } from '../store.ts'
import { transfer } from '../transfer.ts'
import { type Collected, collectGarbage } from './garbage.ts'
import { type IndexFile, emptyIndex, entryOf, formatIndexFile, withName, withoutName } from './index-file.ts'
import { type ListedImage, listImages } from './list.ts'
import { type Keeping, type LayoutDirectory, layoutDirectory, lockDir } from './directory.ts'
import { blobPath, findEntries, pullFromLayout, pullIndexFromLayout, readIndexFile } from './read.ts'

export interface LayoutOptions extends Packing, Keeping {
  /** The name for messages: `oci:DIR` by default. */
  readonly description?: string
  readonly onTransfer?: OnTransfer
}

/** An `ImageStore` that can also list, rename and delete its images. */
export interface LayoutStore extends ImageStore {
  /** The named images, sorted by name. */
  list(): Promise<ListedImage[]>
  /** Removes a name, and returns whether it existed. Blobs stay until `collectGarbage`. */
  remove(name: string): Promise<boolean>
  /** @throws BaleError 'arguments' if there is no image `from` */
  tag(from: string, to: string): Promise<void>
  /** Deletes the blobs that no image needs, except new ones, which a running build may need. */
  collectGarbage(): Promise<Collected>
}

/**
 * An OCI image layout (image-spec image-layout.md) in a directory, which is created by the first write. An image's name is its
 * `org.opencontainers.image.ref.name`; the empty name means the image without that annotation. Several processes may use a
 * layout at once.
 */
export function layoutStore(dir: string, options: LayoutOptions = {}): LayoutStore {
  const path = resolve(dir)
  const files = layoutDirectory(path, options.description ?? `oci:${dir}`, options)

  const readIndex = async (): Promise<IndexFile> => {
    if ((await files.state()) === 'absent') return emptyIndex
    return (await readIndexFile(files)) ?? emptyIndex
  }
  const changeIndex = async (change: (index: IndexFile) => IndexFile | Promise<IndexFile>, signal?: AbortSignal) => {
    await files.create()
    await withLock(
      join(path, lockDir),
      async () => {
        const index = await readIndex()
        const changed = await change(index)
        if (changed === index) return
        await files.replace('index.json', formatIndexFile(changed))
      },
      signal,
    )
    await files.tidy()
  }
  const putContent = async (content: Image | ImageIndex, names: readonly string[], signal?: AbortSignal) => {
    signal?.throwIfAborted()
    for (const name of names) checkName(name)
    await files.create()
    const images = isImageIndex(content) ? content.manifests.map(m => m.image) : [content]
    const documents = images.flatMap(documentsOf)
    if (isImageIndex(content)) documents.push([content.digest, content.bytes])
    for (const [digest, bytes] of documents) await files.putBlob(digest, bytes)
    await changeIndex(async index => {
      // Checked under the lock that garbage collection also takes, so every image in the index has all its blobs.
      for (const image of images) await requireLayers(files, image)
      return names.reduce((changed, name) => withName(changed, name, entryOf(content)), index)
    }, signal)
  }

  return {
    description: files.description,

    async pull(name, platform, signal) {
      signal?.throwIfAborted()
      return pullFromLayout(files, await readIndex(), name, platform, signal)
    },

    async pullIndex(name, signal) {
      signal?.throwIfAborted()
      return pullIndexFromLayout(files, await readIndex(), name, signal)
    },

    async checkWrite(names, signal) {
      signal?.throwIfAborted()
      for (const name of names) checkName(name)
      if ((await files.state()) === 'absent') return checkWritable(path)
      await files.create()
      await (await files.stage())[Symbol.asyncDispose]()
      await files.tidy()
    },

    async putLayer(given, signal) {
      signal?.throwIfAborted()
      await files.create()
      const layer = storedOrSource(given)
      const known = layer.kind === 'layer' ? layer : layer.known
      if (known !== undefined && (await files.hasBlob(known.digest, known.size))) return layerIn(files, known)
      return layerIn(files, await writeLayer(files, layer, options, signal).finally(() => files.tidy()))
    },

    async putImage(image, names, signal) {
      await putContent(image, names, signal)
      return publishedAs(image, names)
    },

    async putIndex(index, names, signal) {
      requireImagesOnly(index, files.description)
      await putContent(index, names, signal)
      return { digest: index.digest, manifestSize: index.bytes.length, names }
    },

    list: async () => listImages(files, await readIndex()),

    async remove(name) {
      let found = false
      if ((await files.state()) === 'absent') return found
      await changeIndex(index => {
        const changed = withoutName(index, name)
        found = changed.manifests.length < index.manifests.length
        return found ? changed : index
      })
      return found
    },

    async tag(from, to) {
      checkName(to)
      await changeIndex(index => {
        const [entry, ...more] = findEntries(index, from, files.description)
        if (entry === undefined || more.length > 0) {
          const what = entry === undefined ? 'there is no image' : 'there are several images'
          throw new BaleError('arguments', `${what} ${JSON.stringify(from)}`, { where: files.description })
        }
        return withName(index, to, entry)
      })
    },

    async collectGarbage() {
      if ((await files.state()) === 'absent') return { blobs: 0, bytes: 0 }
      const collected = await withLock(join(path, lockDir), async () => collectGarbage(files, await readIndex()))
      await files.tidy()
      return collected
    },
  }
}

async function writeLayer(
  files: LayoutDirectory,
  layer: LayerSource | Layer,
  { onTransfer, ...packing }: LayoutOptions,
  signal?: AbortSignal,
): Promise<LayerDigests> {
  await using file = await files.stage()
  let digests: LayerDigests
  if (layer.kind === 'layer') {
    const moved = transfer(onTransfer, layer.digest, layer.size)
    for await (const chunk of verified(layer.open(signal), layer)) {
      signal?.throwIfAborted()
      await file.write(chunk)
      moved(chunk.length)
    }
    digests = layer
  } else {
    const moved = transfer(onTransfer, layer.createdBy)
    const write = async (chunk: Uint8Array): Promise<void> => {
      await file.write(chunk)
      moved(chunk.length)
    }
    digests = await compressLayer(layer, write, { ...packing, signal })
  }
  signal?.throwIfAborted()
  // Most layers of a rebuild already exist. Committing them again would mostly wait for the disk.
  if (!(await files.hasBlob(digests.digest, digests.size)))
    await file.commit(join(files.path, blobPath(digests.digest)))
  return digests
}

function layerIn(files: LayoutDirectory, { diffId, digest, size, mediaType }: LayerDigests): Layer {
  return { kind: 'layer', diffId, digest, size, mediaType, open: signal => files.open(blobPath(digest), size, signal) }
}

/** Config and manifest with their digests, which are checked. */
function documentsOf(image: Image): [Digest, Uint8Array][] {
  const documents: [Digest, Uint8Array][] = [
    [image.imageId, image.configBytes],
    [image.digest, image.manifestBytes],
  ]
  for (const [digest, bytes] of documents) {
    if (digestOf(bytes) !== digest)
      throw new BaleError('failed', `an image's document is not what its digest says: ${digest}`)
  }
  return documents
}

async function requireLayers(files: LayoutDirectory, image: Image): Promise<void> {
  for (const { digest, size } of image.manifest.layers) {
    if (await files.hasBlob(digest, size)) continue
    throw new BaleError('failed', `the layer ${digest} is not in the store, so no image can use it`, {
      where: files.description,
      fix: 'build again; only Bale may delete files in this directory',
    })
  }
}

function publishedAs(image: Image, names: readonly string[]): Published {
  return { digest: image.digest, imageId: image.imageId, manifestSize: image.manifestBytes.length, names }
}

function checkName(name: string): void {
  if (/^[\x21-\x7e]{0,512}$/.test(name)) return
  throw new BaleError('arguments', `${JSON.stringify(name.slice(0, 300))} is not a name for an image in a layout`)
}
