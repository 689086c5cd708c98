import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { leaseName } from '../files/lease.ts'
import { hexOf } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import type { Platform } from '../image/manifest.ts'
import type { Compression } from '../image/media-types.ts'
import { type Reference, atDigest, formatReference, parseReference } from '../image/reference.ts'
import { removeTree } from '../files/remove.ts'
import { dockerArchiveStore, ociArchiveStore } from './archive.ts'
import { type Credentials, dockerCredentials } from './credentials.ts'
import { daemonStore } from './daemon.ts'
import { type Place, asPublished, keyOf, parseDestination, placesOf } from './destination.ts'
import { type LayoutStore, layoutStore } from './layout/store.ts'
import { type Registry, openRegistry, proxySettings, registryStore } from './registry/store.ts'
import type { StoreSettings } from './settings.ts'
import type { ImageSink, ImageSource, ImageStore, OnTransfer, Packing } from './store.ts'

/** Where an image goes: a store, and the names it gets there. */
export interface Destination {
  readonly sink: ImageSink
  readonly names: readonly string[]
  /** Tells this image from all others on this machine: caches are kept by it. */
  readonly identity: string
  /** The registry it goes to, if it goes to one. */
  readonly registry?: string
  /** Where the image of the last build is, if there was one. */
  readonly previous: ImageAt
}

/** An image that may be there: its store, and its name in it. */
export interface ImageAt {
  readonly source: ImageSource
  readonly name: string
}

export interface FindOptions {
  /** That of the settings by default. */
  readonly platform?: Platform
  /** A plain name is looked for in the Docker daemon before all else. */
  readonly daemonFirst?: boolean
  /** Of an image in a daemon, its description will do: layers are fetched when they are read. */
  readonly described?: boolean
}

export interface Found {
  readonly image: Image
  readonly name: string
  /** Where it was. */
  readonly place: Place
}

interface Opened {
  readonly store: ImageStore
  /** Images with their own configs, where `store` has the daemon's description of them. */
  readonly whole?: ImageStore
  readonly name: string
  /** The same for every name that this store can give at once. */
  readonly place: string
  readonly registry?: string
}

/** A plain name, as Bale's own store has it: `index.docker.io/library/hello:latest`. */
export function localName(text: string): string {
  return formatReference(parseReference(text))
}

/** Every store that a command opens. Connections and tokens of a registry are shared; what waited on disk goes at the end. */
export class Stores implements AsyncDisposable {
  readonly local: LayoutStore
  readonly #settings: StoreSettings
  readonly #reporter: Reporter
  readonly #tmpDir: string
  readonly #registries = new Map<string, Registry>()
  readonly #opened = new Map<string, Opened>()
  readonly credentials: Credentials
  readonly #packing: Packing

  /** @param compression of the layers that are made for destinations; a stack's stay gzip */
  constructor(settings: StoreSettings, reporter: Reporter, compression: Compression = 'gzip') {
    const { environment, registryAuth, dockerConfig } = settings
    this.#settings = settings
    this.#reporter = reporter
    this.#packing = { compression }
    this.#tmpDir = join(settings.cacheDir, 'tmp', leaseName())
    this.local = this.#localStore({})
    this.credentials = dockerCredentials({
      dockerConfig,
      path: environment['PATH'] ?? '',
      environment,
      warn: text => reporter.event({ type: 'warning', text }),
      ...(registryAuth !== undefined && { registryAuth }),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#registries.values()].map(registry => registry.close()))
    await removeTree(this.#tmpDir)
  }

  /**
   * The places that these names mean, those of one place together, in the order given. With `publish`, plain names are
   * those of registries.
   */
  async destinations(texts: readonly string[], publish: boolean): Promise<readonly [Destination, ...Destination[]]> {
    return this.destinationsAt(texts.map(text => asPublished(parseDestination(text), publish)))
  }

  /** As above, for places that are known. */
  async destinationsAt(places: readonly Place[]): Promise<readonly [Destination, ...Destination[]]> {
    const byPlace = new Map<string, Opened & { names: string[] }>()
    for (const place of places) {
      const opened = await this.#open(place)
      const group = byPlace.get(opened.place) ?? { ...opened, names: [] }
      if (!group.names.includes(opened.name)) group.names.push(opened.name)
      byPlace.set(opened.place, group)
    }
    const all = [...byPlace.values()].map(({ store, name, place, registry, names }) => ({
      sink: store,
      names,
      identity: `${place} ${registry === undefined ? name : ''}`.trim(),
      ...(registry !== undefined && { registry }),
      previous: { source: store, name },
    }))
    const [first, ...rest] = all
    if (first === undefined)
      throw new BaleError('arguments', 'the image has no name', { fix: 'give one: bale build NAME' })
    return [first, ...rest]
  }

  /** Where an image is read from: a plain name is one of a registry, as everywhere in the field. */
  async source(text: string): Promise<ImageAt> {
    return this.at(asPublished(parseDestination(text), true))
  }

  async at(place: Place): Promise<ImageAt> {
    const { store, name } = await this.#open(place)
    return { source: store, name }
  }

  /**
   * The image of that name; a plain one is looked for in Bale's own store, then in its registry.
   * @throws BaleError 'arguments' if there is none
   */
  async find(text: string, signal?: AbortSignal, options: FindOptions = {}): Promise<Found> {
    const { platform = this.#settings.platform, daemonFirst = false, described = false } = options
    const searched: string[] = []
    for (const place of placesOf(text, daemonFirst)) {
      const { store, whole = store, name } = await this.#open(place)
      const reading = (described ? store : whole).pull(name, platform, signal)
      const image = await reading.catch((error: unknown) => {
        throw searched.length === 0 ? error : unlessThere(text, searched, error)
      })
      if (image !== undefined) return { image, name: name === '' ? text : name, place }
      searched.push(store.description)
    }
    const where = searched[0] === text ? '' : ` in ${searched.join(' or ')}`
    const isLocal = searched.includes(this.local.description)
    throw new BaleError('arguments', `there is no image ${text}${where}`, {
      fix: isLocal ? 'see what there is: bale image ls' : 'correct its name',
    })
  }

  async #open(place: Place): Promise<Opened> {
    const key = keyOf(place)
    const before = this.#opened.get(key)
    if (before !== undefined) return { ...before, name: place.name }
    const opened = { ...(await this.#make(place)), place: key, name: place.name }
    this.#opened.set(key, opened)
    return opened
  }

  async #make(place: Place): Promise<Pick<Opened, 'store' | 'whole' | 'registry'>> {
    const onTransfer = this.#transfer('push')
    switch (place.kind) {
      case 'store':
        return { store: this.#localStore(this.#packing) }
      case 'registry':
        return { store: this.#repository(place.reference), registry: place.reference.registry }
      case 'oci':
        return { store: layoutStore(place.path, { onTransfer, ...this.#packing }) }
      case 'oci-archive':
        return { store: ociArchiveStore(place.path, { tmpDir: await this.#scratch(), onTransfer, ...this.#packing }) }
      case 'docker-archive':
        return { store: dockerArchiveStore(place.path, { tmpDir: await this.#scratch(), onTransfer }) }
      case 'docker-daemon': {
        const socketPath = this.#settings.dockerSocket
        const whole = daemonStore({ socketPath, tmpDir: await this.#scratch(), onTransfer: this.#transfer('load') })
        return { store: whole.described, whole }
      }
    }
  }

  #localStore(packing: Packing): LayoutStore {
    return layoutStore(join(this.#settings.dataDir, 'images'), { description: 'the local store', ...packing })
  }

  #repository(reference: Reference): ImageStore {
    const { registry: host } = reference
    const registry = this.#registries.get(host) ?? this.#connect(host)
    this.#registries.set(host, registry)
    const [onPush, onPull] = [this.#transfer('push'), this.#transfer('pull')]
    return registryStore(reference, { registry, onPush, onPull, ...this.#packing })
  }

  #connect(host: string): Registry {
    const { environment, caBundle, insecureRegistries = [] } = this.#settings
    return openRegistry({
      registry: host,
      insecure: insecureRegistries.includes(host),
      credentials: this.credentials,
      proxy: proxySettings(environment),
      // The machine's authorities, which Node does not ask by itself.
      ...(caBundle !== undefined && { ca: [readFileSync(caBundle, 'utf8')] }),
    })
  }

  async #scratch(): Promise<string> {
    await wrapErrno(this.#tmpDir, () => mkdir(this.#tmpDir, { recursive: true, mode: 0o700 }))
    return this.#tmpDir
  }

  #transfer(direction: 'push' | 'pull' | 'load'): OnTransfer {
    return transfer => this.#reporter.event({ type: 'transfer', direction, ...transfer })
  }
}

/**
 * What identifies an image for ever: `registry/repository@sha256:…`, in a daemon its ID, and never a path of this machine
 * (platform.md, "io.buildpacks.lifecycle.metadata", `runImage.reference`).
 */
export function identify({ image, place }: Found): string {
  if (place.kind === 'docker-daemon') return hexOf(image.imageId)
  return 'reference' in place ? formatReference(atDigest(place.reference, image.digest)) : image.digest
}

/** A registry is asked last, and that fails: most often somebody misspelt the name of an image of their own. */
function unlessThere(text: string, searched: readonly string[], error: unknown): unknown {
  if (!(error instanceof BaleError)) return error
  const { code, message, where, fix } = error
  return new BaleError(code, `there is no image ${text} in ${searched.join(' or ')}; ${where}: ${message}`, {
    fix: `bale image ls shows what there is${fix === undefined ? '' : `; for one in a registry, ${fix}`}`,
    cause: error,
  })
}
