import { settleAll } from '../../concurrency.ts'
import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import { type Image, assembleImage } from '../../image/image.ts'
import { type ImageIndex, assembleImageIndex, readIndexed, requireImagesOnly } from '../../image/image-index.ts' // prettier-ignore
import { type Layer, type LayerDigests, type LayerSource, storedOrSource } from '../../image/layer.ts'
import type { Descriptor, Index, Manifest, Platform } from '../../image/manifest.ts'
import { docker, oci } from '../../image/media-types.ts'
import { makeSmallLayer } from '../../layers/compression/small-layer.ts'
import { type Reference, repositoryName } from '../../image/reference.ts'
import { checkLayerCount, parseConfig, parseManifest, selectPlatform } from '../../image/validate.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { ImageStore, OnTransfer, Published, PublishedIndex } from '../store.ts'
import { Registry, type RegistryOptions } from './client.ts'
import { openBlob, readBlob } from './download.ts'
import { failureAt } from './failures.ts'
import { Manifests, anyManifest, checkContentType } from './manifests.ts'
import { type Name, nameIn, parseName } from './names.ts'
import { Transient, retrying } from './retry.ts'
import { Uploader } from './upload.ts'

export type { Registry, RegistryOptions } from './client.ts'
export { type ProxySettings, proxySettings } from './proxy.ts'

export interface RegistryStoreOptions extends Packing {
  readonly registry: Registry
  readonly onPush?: OnTransfer
  readonly onPull?: OnTransfer
  /** Called for each tag that the registry protects from changes. Without it, such a tag is an error. */
  readonly onKeptTag?: ((name: string, failure: BaleError) => void) | undefined
}

/** A client of a registry, for all of its repositories. It connects, and loads undici, on first use. */
export function openRegistry(options: RegistryOptions): Registry {
  return new Registry(options)
}

/**
 * A repository as a store. A name is a tag, a digest, or a full reference to the same repository. Layers from other
 * repositories of the registry are mounted where the registry permits it.
 */
export function registryStore(repository: Reference, options: RegistryStoreOptions): ImageStore {
  return new RegistryStore(repository, options)
}

/** How many requests run at once where each layer needs one. */
const concurrency = 6

class RegistryStore implements ImageStore {
  readonly description: string
  readonly #registry: Registry
  readonly #repository: Reference
  readonly #packing: Packing
  readonly #onPull: OnTransfer | undefined
  readonly #uploader: Uploader
  readonly #manifests: Manifests
  /** Blobs that the registry has reported as present. */
  readonly #present = new Set<Digest>()
  /** Repositories from which the registry refuses mounts. */
  readonly #refused = new Set<string>()
  /** Blobs that were uploaded here. */
  readonly #sent = new Set<Digest>()

  constructor(repository: Reference, { registry, onPush, onPull, onKeptTag, ...packing }: RegistryStoreOptions) {
    if (registry.host !== repository.registry)
      throw new TypeError(`${repositoryName(repository)} is not in ${registry.host}`)
    this.#repository = { registry: repository.registry, repository: repository.repository }
    this.description = `registry ${repositoryName(repository)}`
    this.#registry = registry
    this.#packing = packing
    this.#onPull = onPull
    this.#uploader = new Uploader(registry, repository.repository, onPush)
    this.#manifests = new Manifests(registry, this.#repository, onKeptTag)
  }

  async pull(name: string, platform: Platform, signal?: AbortSignal): Promise<Image | undefined> {
    const named = await this.#named(name, signal)
    if (named === undefined) return undefined
    const { bytes, document, where } = named
    if ('layers' in document) return this.#image(bytes, document, where, signal)
    return this.#child(selectPlatform(document, platform, where), where, signal)
  }

  async pullIndex(name: string, signal?: AbortSignal): Promise<ImageIndex | undefined> {
    const named = await this.#named(name, signal)
    if (named === undefined || 'layers' in named.document) return undefined
    const { bytes, document, where } = named
    return assembleImageIndex(bytes, document, await readIndexed(document, entry => this.#child(entry, where, signal)))
  }

  async checkWrite(names: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const name of names) parseName(name, this.#repository)
    await this.#uploader.probe(signal)
  }

  async putLayer(given: LayerSource | Layer, signal?: AbortSignal): Promise<Layer> {
    signal?.throwIfAborted()
    const layer = storedOrSource(given)
    if (layer.kind === 'source') return this.#putSource(layer, signal)
    // A mount also shows whether the repository has the blob, so each layer needs only one request.
    if (
      this.#present.has(layer.digest) ||
      (await this.#mount(layer, signal)) ||
      (await this.#has(layer.digest, signal))
    )
      return this.#layer(layer)
    await this.#uploader.putLayer(layer, signal)
    this.#sent.add(layer.digest)
    return this.#layer(layer)
  }

  async putImage(image: Image, names: readonly string[], signal?: AbortSignal): Promise<Published> {
    signal?.throwIfAborted()
    const targets = this.#targets(names, image.digest)
    await this.#checkLayers(image, signal)
    if (!(await this.#has(image.imageId, signal))) {
      await this.#uploader.putBytes(image.configBytes, image.imageId, signal)
    }
    const { digest, manifestBytes: bytes, manifest } = image
    const given = await this.#manifests.put({ digest, bytes, mediaType: manifest.mediaType }, targets, signal)
    return { digest, imageId: image.imageId, manifestSize: bytes.length, names: given }
  }

  async putIndex(index: ImageIndex, names: readonly string[], signal?: AbortSignal): Promise<PublishedIndex> {
    signal?.throwIfAborted()
    requireImagesOnly(index, this.description)
    const { digest, bytes, document } = index
    const targets = this.#targets(names, digest)
    for (const { image } of index.manifests) await this.putImage(image, [], signal)
    const given = await this.#manifests.put({ digest, bytes, mediaType: document.mediaType }, targets, signal)
    return { digest, manifestSize: bytes.length, names: given }
  }

  /** @throws BaleError 'arguments' for a name with a different digest */
  #targets(names: readonly string[], digest: Digest): readonly Name[] {
    const targets = names.map(name => parseName(name, this.#repository))
    const wrong = targets.find(t => t.kind === 'digest' && t.digest !== digest)
    if (wrong === undefined) return targets
    throw new BaleError('arguments', `${this.#nameOf(wrong)} cannot name the image ${digest}`, { fix: 'use a tag' })
  }

  async #putSource(source: LayerSource, signal?: AbortSignal): Promise<Layer> {
    const { known } = source
    if (known !== undefined && (await this.#has(known.digest, signal))) return this.#layer(known)
    const made =
      (await this.#putSmall(source, signal)) ?? (await this.#uploader.putSource(source, this.#packing, signal))
    this.#sent.add(made.digest)
    return this.#layer(made)
  }

  /** With the digest of a small layer, one request shows that an unchanged one is there. Undefined for a larger layer. */
  async #putSmall(source: LayerSource, signal?: AbortSignal): Promise<LayerDigests | undefined> {
    const small = await makeSmallLayer(source, { ...this.#packing, signal })
    if (small === undefined) return undefined
    const { digests, bytes } = small
    if (!(await this.#has(digests.digest, signal))) await this.#uploader.putBytes(bytes, digests.digest, signal)
    return digests
  }

  /** Tries to mount the layer from another repository, and returns whether it succeeded. If not, the layer is uploaded. */
  async #mount({ digest, repository: from }: Layer, signal?: AbortSignal): Promise<boolean> {
    const { registry, repository } = this.#repository
    if (from === undefined || from.registry !== registry || from.repository === repository) return false
    if (this.#refused.has(from.repository)) return false
    try {
      const mounted = await this.#uploader.mount(digest, from.repository, signal)
      if (mounted) this.#present.add(digest)
      else this.#refused.add(from.repository)
      return mounted
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof BaleError) return false
      throw error
    }
  }

  async #has(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    if (this.#present.has(digest)) return true
    if (!(await this.#uploader.has(digest, signal))) return false
    this.#present.add(digest)
    return true
  }

  /** Checks that the repository has all layers, since some registries accept a manifest whose layers are missing (R28). */
  async #checkLayers(image: Image, signal?: AbortSignal): Promise<void> {
    const digests = [...new Set(image.manifest.layers.map(l => l.digest))]
    const check = async (digest: Digest) => {
      const where = repositoryName(this.#repository)
      if (await this.#has(digest, signal)) return
      if (!this.#sent.has(digest))
        throw new BaleError('registry', `the layer ${digest} was never stored there`, { where })
      // The storage of some registries is eventually consistent.
      throw new Transient(
        new BaleError('registry', `the registry accepted the layer ${digest}, but does not have it`, { where }),
      )
    }
    const worker = async () => {
      for (let next = digests.pop(); next !== undefined; next = digests.pop()) {
        const digest = next
        await retrying(() => check(digest), this.#registry.limits, signal)
      }
    }
    await settleAll(Array.from({ length: concurrency }, worker))
  }

  /** Reads and parses the document of a name; undefined if it does not exist. */
  async #named(name: string, signal?: AbortSignal) {
    signal?.throwIfAborted()
    const parsed = parseName(name, this.#repository)
    const found = await this.#manifests.read(parsed, anyManifest, signal)
    if (found === undefined) return undefined
    const where = this.#nameOf(parsed)
    const document: Manifest | Index = parseManifest(found.bytes, where)
    checkContentType(found, document.mediaType)
    return { bytes: found.bytes, document, where }
  }

  /** Reads an image of an index. */
  async #child({ digest, size }: Descriptor, where: string, signal?: AbortSignal): Promise<Image> {
    const name: Name = { kind: 'digest', digest }
    const found = await this.#manifests.read(name, [oci.manifest, docker.manifest], signal)
    if (found === undefined)
      throw new BaleError('registry', `the manifest ${digest}, which an index names, is missing`, {
        where: repositoryName(this.#repository),
      })
    if (found.bytes.length !== size)
      throw failureAt(found.reply, `the manifest has ${found.bytes.length} bytes, but the index says ${size}`)
    const manifest = parseManifest(found.bytes, this.#nameOf(name))
    checkContentType(found, manifest.mediaType)
    if (!('layers' in manifest)) throw failureAt(found.reply, 'an index calls this an image, but it is an index')
    return this.#image(found.bytes, manifest, where, signal)
  }

  async #image(manifestBytes: Uint8Array, manifest: Manifest, where: string, signal?: AbortSignal): Promise<Image> {
    const { digest, size } = manifest.config
    const blob = { repository: this.#repository.repository, digest, size }
    const configBytes = await readBlob(this.#registry, blob, this.#registry.limits.config, signal)
    const config = parseConfig(configBytes, `${where} config`)
    checkLayerCount(manifest, config, where)
    const diffIds = config.rootfs.diff_ids
    const layers = manifest.layers.map((layer, i) => this.#layer({ ...layer, diffId: diffIds[i] as Digest }))
    return assembleImage(manifestBytes, manifest, configBytes, config, layers)
  }

  /** A layer in this repository. */
  #layer({ diffId, digest, size, mediaType }: LayerDigests): Layer {
    const blob = { repository: this.#repository.repository, digest, size }
    return {
      kind: 'layer',
      diffId,
      digest,
      size,
      mediaType,
      repository: this.#repository,
      open: signal => openBlob(this.#registry, blob, { onTransfer: this.#onPull, signal }),
    }
  }

  #nameOf(name: Name): string {
    return nameIn(this.#repository, name)
  }
}
