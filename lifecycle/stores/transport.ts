import type { Digest } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import type { Platform } from '../image/manifest.ts'
import type { Reference } from '../image/reference.ts'
import type { Credentials } from './credentials.ts'
import type { Registries } from './registry-settings.ts'
import type { KnownHelper } from './credentials/known-helpers.ts'
import type { Packing } from '../layers/compression/packing.ts'
import type { ImageSource, ImageStore, OnTransfer } from './store.ts'

/** Settings of the user's machine for opening stores. */
export interface StoreSettings {
  /** Images and stacks: `$XDG_DATA_HOME/bale`. */
  readonly dataDir: string
  /** Caches of apps and the work directories of builds: `$XDG_CACHE_HOME/bale`. */
  readonly cacheDir: string
  /** The platform to choose from an index. */
  readonly platform: Platform
  /** For the programs that Bale starts on the host: PATH, proxies. Buildpacks get only the proxies. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The docker config.json, for registry credentials. */
  readonly dockerConfig: string
  /** CNB_REGISTRY_AUTH (platform.md, "Registry Authentication"). */
  readonly registryAuth?: string
  /** Credential helpers that are asked without an entry in config.json; none by default. */
  readonly knownHelpers?: readonly KnownHelper[] | undefined
  /** Path of the Docker or Podman API's socket. */
  readonly dockerSocket: string
  /** PEM file with the machine's certificate authorities, which replace a sandbox's own. */
  readonly caBundle?: string
  /** Hosts, with their ports, that are trusted without a certificate, or without TLS: CNB_INSECURE_REGISTRIES. */
  readonly insecureRegistries?: readonly string[]
  /** Mirrors and TLS of single registries: the file that CONTAINERS_REGISTRIES_CONF names. */
  readonly registries?: Registries | undefined
  /** How often a request to a registry is attempted; 5 by default. */
  readonly registryAttempts?: number | undefined
  /** The kinds of places for images; those of `transports.ts` by default. */
  readonly transports?: readonly ImageTransport[]
}

/**
 * A kind of place for images (containers-transports(5)): a registry, a file format, a daemon. Each has a folder here
 * with its stores; `transports.ts` lists them, and the rest of the program does not depend on a particular one.
 */
export interface ImageTransport {
  readonly name: string
  /** The prefix of its references: `oci:`. Empty for Bale's own store, where a plain name is a reference. */
  readonly prefix: string
  /** The form of its references, for messages: `oci:DIR[:TAG]`. */
  readonly form: string
  /** Whether `location` of a reference is a path on this machine. */
  readonly isPath: boolean
  /** Whether images keep their manifest, and so have a digest. Otherwise an image has only an image ID. */
  readonly keepsManifests: boolean
  /**
   * @param rest the text after the prefix
   * @throws BaleError 'arguments'
   */
  parse(rest: string): ImageReference
  /** Opens the store of `reference.location`. All references with the same location share it. */
  open(reference: ImageReference, context: StoreContext): OpenStore | Promise<OpenStore>
  /**
   * A permanent identifier of an image in this transport, never a path of this machine (platform.md,
   * "io.buildpacks.lifecycle.metadata", `runImage.reference`).
   */
  identify(reference: ImageReference, image: Image): string
}

/** An image's name in its transport. The image need not exist. */
export interface ImageReference {
  readonly transport: ImageTransport
  /** The store: a path as the user wrote it, a repository; empty for a transport with one store. */
  readonly location: string
  /** Identifies an image in the store. Empty if a store of one image needs no name. */
  readonly name: string
  /** Set for transports with Docker's image names. */
  readonly docker?: Reference
}

export interface OpenStore {
  readonly store: ImageStore
  /**
   * The same images with the bytes of their own configs, if `store` reads a daemon's description of them. This costs a
   * `docker save` of the whole image.
   */
  readonly exact?: ImageSource
  /** The registry of the store. */
  readonly registry?: string
  /**
   * Deletes a manifest, with every tag that it has.
   * @throws BaleError if the registry refuses, as many do
   */
  readonly remove?: (digest: Digest, signal?: AbortSignal) => Promise<void>
}

/** The context in which transports open their stores. */
export interface StoreContext {
  readonly settings: StoreSettings
  readonly credentials: Credentials
  readonly packing: Packing
  readonly onTransfer: (direction: 'push' | 'pull' | 'load') => OnTransfer
  readonly warn: (text: string) => void
  /** A directory for temporary files, deleted when the context is closed. */
  readonly scratch: () => Promise<string>
  /** One value for each key, disposed of when the context is closed: connections that several stores use. */
  readonly shared: <T extends AsyncDisposable>(key: string, make: () => T) => T
}
