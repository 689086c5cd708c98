import type { Digest } from '../image/digest.ts'
import type { Image } from '../image/image.ts'
import type { Reference } from '../image/reference.ts'
import type { Credentials } from './credentials.ts'
import type { StoreSettings } from './settings.ts'
import type { ImageSource, ImageStore, OnTransfer, Packing } from './store.ts'

/**
 * A kind of place that images live in (containers-transports(5)): a registry, a file format, a daemon. Each has a folder here
 * with its stores; `transports.ts` lists them, and the rest of the program knows none by name.
 */
export interface ImageTransport {
  readonly name: string
  /** How its references begin: `oci:`. Empty for Bale's own store, where a plain name is a reference. */
  readonly prefix: string
  /** How its references are written, for messages: `oci:DIR[:TAG]`. */
  readonly form: string
  /** `location` of a reference is a path on this machine. */
  readonly isPath: boolean
  /** Images keep the manifest they were given, and so have a digest. Otherwise an image has an image ID only. */
  readonly keepsManifests: boolean
  /**
   * @param rest what follows the prefix
   * @throws BaleError 'arguments'
   */
  parse(rest: string): ImageReference
  /** Opens the store that `reference.location` names; all references with the same one share it. */
  open(reference: ImageReference, context: StoreContext): OpenStore | Promise<OpenStore>
  /**
   * What identifies an image of this transport for ever, never a path of this machine (platform.md,
   * "io.buildpacks.lifecycle.metadata", `runImage.reference`).
   */
  identify(reference: ImageReference, image: Image): string
}

/** An image's name in its transport, whether or not there is such an image. */
export interface ImageReference {
  readonly transport: ImageTransport
  /** The store: a path as the user wrote it, a repository; empty for a transport with one store. */
  readonly location: string
  /** Tells images in the store apart. Empty where a store of one image needs no name. */
  readonly name: string
  /** For transports that name images as Docker does. */
  readonly docker?: Reference
}

export interface OpenStore {
  readonly store: ImageStore
  /**
   * The same images with the bytes of their own configs, where `store` reads a daemon's description of them. This costs a
   * `docker save` of the whole image.
   */
  readonly exact?: ImageSource
  /** The registry that it belongs to. */
  readonly registry?: string
  /**
   * Deletes a manifest, with every tag that it has.
   * @throws BaleError where the registry refuses that, as many do
   */
  readonly remove?: (digest: Digest, signal?: AbortSignal) => Promise<void>
}

/** What transports need to open their stores. */
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
