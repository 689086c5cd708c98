import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { settleAll } from '../concurrency.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { leaseName } from '../files/lease.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import type { Image } from '../image/image.ts'
import type { Platform } from '../image/manifest.ts'
import { dockerCredentials } from './credentials.ts'
import { FoundCredentials } from './found-credentials.ts'
import { guardIndexes } from './guard-indexes.ts'
import type { LayoutStore } from './layout/store.ts'
import { openLocalStore } from './local/transport.ts'
import { mirroredSource, mirrorsOf } from './mirrors.ts'
import { registrySettings } from './settings.ts'
import type { Packing } from '../layers/compression/packing.ts'
import type { ImageSink, ImageSource, ImageStore, OnTransfer } from './store.ts'
import type { ImageReference, ImageTransport, OpenStore, StoreContext, StoreSettings } from './transport.ts'
import { asPublished, candidates, displayName, parseImageReference, storeKey, transports } from './transports.ts'

/** The destination of an image: a store, and the image's names in it. */
export interface Destination {
  readonly sink: ImageSink
  readonly names: readonly string[]
  /** Identifies this image on this machine: caches are named after it. */
  readonly identity: string
  /** The user's names for the image in the store. */
  readonly displayNames: readonly string[]
  /** The registry of the image, if any, and its repository, which selects the credentials. */
  readonly registry?: string
  readonly repository?: string
  /** The place of the last build's image, if there was one. */
  readonly previous: ImageAt
}

/** An image that may exist: its store, and its name in it. */
export interface ImageAt {
  readonly source: ImageSource
  readonly name: string
}

export interface FindOptions {
  /** The platform of the settings by default. */
  readonly platform?: Platform
  /** Looks for a plain name in the Docker daemon first. */
  readonly daemonFirst?: boolean
  /** Looks for a plain name only on this machine, or only in its registry. */
  readonly only?: 'machine' | 'registry' | undefined
  /** Reads an image in a daemon from the daemon's description, and its layers only when needed. */
  readonly lazy?: boolean
}

export interface FoundImage {
  readonly image: Image
  readonly name: string
  /** Where the image was found. */
  readonly reference: ImageReference
}

/** Every store that a command opens. Connections and tokens of a registry are shared; temporary files are deleted at the end. */
export class Stores implements AsyncDisposable {
  readonly local: LayoutStore
  readonly credentials: FoundCredentials
  readonly #settings: StoreSettings
  readonly #transports: readonly ImageTransport[]
  readonly #reporter: Reporter
  readonly #tmpDir: string
  readonly #packing: Packing
  /** By `storeKey`. */
  readonly #opened = new Map<string, Promise<OpenStore>>()
  readonly #shared = new Map<string, AsyncDisposable>()

  /** @param packing of the layers that are made for destinations; a stack's layers stay gzip */
  constructor(settings: StoreSettings, reporter: Reporter, packing: Packing = {}) {
    const { environment, registryAuth, dockerConfig, knownHelpers } = settings
    this.#settings = settings
    this.#transports = settings.transports ?? transports
    this.#reporter = reporter
    this.#packing = packing
    this.#tmpDir = join(settings.cacheDir, 'tmp', leaseName())
    this.local = openLocalStore(settings, {})
    const credentials = dockerCredentials({
      dockerConfig,
      path: environment['PATH'] ?? '',
      environment,
      warn: (text, fix) => reporter.event({ type: 'warning', text, ...(fix !== undefined && { fix }) }),
      registryAuth,
      knownHelpers,
    })
    this.credentials = new FoundCredentials(credentials)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await settleAll([...this.#shared.values()].map(shared => shared[Symbol.asyncDispose]()))
    } finally {
      await removeTree(this.#tmpDir)
    }
  }

  /** @throws BaleError 'arguments' */
  parse(text: string): ImageReference {
    return parseImageReference(text, this.#transports)
  }

  /** Opens the store of `reference.location`. All references to it share one store. */
  open(reference: ImageReference): Promise<OpenStore> {
    const key = storeKey(reference)
    const known = this.#opened.get(key)
    if (known !== undefined) return known
    const opening = Promise.resolve(reference.transport.open(reference, this.#context()))
    this.#opened.set(key, opening)
    opening.catch(() => this.#opened.delete(key)) // the next caller tries again
    return opening
  }

  /**
   * The stores of these references and the names in them, in the order given. With `publish`, a plain name means
   * its registry. An image of one platform cannot replace an index of several (O07).
   */
  async destinations(texts: readonly string[], publish: boolean): Promise<readonly [Destination, ...Destination[]]> {
    return this.#openAll(
      texts.map(text => asPublished(this.parse(text), publish)),
      guardIndexes,
    )
  }

  /** The same for references of a phase binary: an image may replace any image or index, as with the Go lifecycle. */
  destinationsAt(references: readonly ImageReference[]): Promise<readonly [Destination, ...Destination[]]> {
    return this.#openAll(references, store => store)
  }

  async #openAll(
    references: readonly ImageReference[],
    sinkOf: (store: ImageStore) => ImageSink,
  ): Promise<readonly [Destination, ...Destination[]]> {
    const byStore = Map.groupBy(references, storeKey)
    const all: Destination[] = []
    for (const [key, [first, ...more]] of byStore) {
      if (first === undefined) continue
      const { store, registry } = await this.open(first)
      all.push({
        sink: sinkOf(store),
        names: [...new Set([first, ...more].map(({ name }) => name))],
        identity: registry === undefined && first.name !== '' ? `${key} ${first.name}` : key,
        displayNames: [...new Set([first, ...more].map(displayName))],
        ...(registry !== undefined && { registry, repository: first.location }),
        previous: { source: store, name: first.name },
      })
    }
    const [first, ...rest] = all
    if (first === undefined)
      throw new BaleError('arguments', 'the image has no name', { fix: 'give a name: bale build NAME' })
    return [first, ...rest]
  }

  /** The place to read an image from. A plain name refers to a registry, as in other tools. */
  async source(text: string): Promise<ImageAt> {
    return this.at(asPublished(this.parse(text), true))
  }

  async at(reference: ImageReference): Promise<ImageAt> {
    const { store, registry } = await this.open(reference)
    const { mirrors = [], onlyMirrors = false } = registrySettings(this.#settings.registries, registry ?? '')
    if (registry === undefined || mirrors.length === 0) return { source: store, name: reference.name }
    const places = await Promise.all(
      mirrorsOf(reference, mirrors).map(async at => ({ ...(await this.open(at)), name: at.name })),
    )
    const own = onlyMirrors ? [] : [{ store, name: reference.name }]
    const warn = (text: string) => this.#reporter.event({ type: 'warning', text })
    return { source: mirroredSource(store.description, [...places, ...own], warn), name: reference.name }
  }

  /**
   * Finds the image of a name. Looks for a plain name in Bale's own store, then in its registry.
   * @throws BaleError 'arguments' if there is none
   */
  async find(text: string, signal?: AbortSignal, options: FindOptions = {}): Promise<FoundImage> {
    const { platform = this.#settings.platform, daemonFirst = false, lazy = false, only } = options
    const searched: string[] = []
    for (const reference of candidates(this.parse(text), daemonFirst, only)) {
      const { store, exact = store } = await this.open(reference)
      const reading = (lazy ? store : exact).pull(reference.name, platform, signal)
      const image = await reading.catch((error: unknown) => {
        throw searched.length === 0 ? error : unlessThere(text, searched, error)
      })
      if (image !== undefined) return { image, name: reference.name === '' ? text : reference.name, reference }
      searched.push(store.description)
    }
    const where = searched[0] === text ? '' : ` in ${searched.join(' or ')}`
    const isLocal = searched.includes(this.local.description)
    throw new BaleError('arguments', `there is no image ${text}${where}`, {
      fix: isLocal ? 'list the images: bale image ls' : 'correct its name',
    })
  }

  #context(): StoreContext {
    return {
      settings: this.#settings,
      credentials: this.credentials,
      packing: this.#packing,
      onTransfer: (direction): OnTransfer => {
        return transfer => this.#reporter.event({ type: 'transfer', direction, ...transfer })
      },
      warn: text => this.#reporter.event({ type: 'warning', text }),
      scratch: async () => {
        await ownDirectory(this.#settings.cacheDir, 'XDG_CACHE_HOME')
        await wrapErrno(this.#tmpDir, () => mkdir(this.#tmpDir, { recursive: true, mode: 0o700 }))
        return this.#tmpDir
      },
      shared: <T extends AsyncDisposable>(key: string, make: () => T): T => {
        const value = (this.#shared.get(key) as T | undefined) ?? make()
        this.#shared.set(key, value)
        return value
      },
    }
  }
}

/** A permanent identifier of an image: see `ImageTransport.identify`. */
export function identify({ image, reference }: FoundImage): string {
  return reference.transport.identify(reference, image)
}

/** The error if the last place, a registry, fails: most often the user misspelt the name of a local image. */
function unlessThere(text: string, searched: readonly string[], error: unknown): unknown {
  if (!(error instanceof BaleError)) return error
  const { code, message, where, fix } = error
  return new BaleError(code, `there is no image ${text} in ${searched.join(' or ')}; ${where}: ${message}`, {
    fix: `bale image ls lists the images${fix === undefined ? '' : `; for one in a registry, ${fix}`}`,
    cause: error,
  })
}
