import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlobInfoCache } from '../../caches/blob-info-cache.ts'
import { BuildCache } from '../../caches/build-cache.ts'
import { directoryCache } from '../../caches/directory.ts'
import { imageCache } from '../../caches/image.ts'
import { withLaunchCache } from '../../caches/launch.ts'
import { BaleError } from '../../errors.ts'
import { leaseName } from '../../files/lease.ts'
import { type Digest, hexOf, isDigest } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import type { Platform } from '../../image/manifest.ts'
import { atDigest, formatReference, layoutPath, parseReference, repositoryName } from '../../image/reference.ts'
import { maskCredentials } from '../../phases/registry-credentials.ts'
import type { FoundCredentials } from '../../stores/found-credentials.ts'
import { dockerDaemon } from '../../stores/daemon/transport.ts'
import { ociLayout } from '../../stores/layout/transport.ts'
import { type Destination, type ImageAt, Stores } from '../../stores/open.ts'
import { registry } from '../../stores/registry/transport.ts'
import { registryHost, storeSettings } from '../../stores/settings.ts'
import type { ImageReference, ImageTransport } from '../../stores/transport.ts'
import type { PhaseContext } from './context.ts'
import type { Inputs } from './flags.ts'
import { readRunDocument } from './run-toml.ts'
import { checkCacheImage } from '../../phases/analyze.ts'
import { requireExperimental } from './modes.ts'
import type { Owner } from '../../layers/tree/entries.ts'
import { giveTree } from '../../layers/tree/give.ts'

/** The transport of app and run images: one for all of them. */
type Mode =
  { readonly kind: 'registry' } | { readonly kind: 'daemon' } | { readonly kind: 'layout'; readonly dir: string }

/** The images of a phase binary, in the transport that -daemon, -layout and -insecure-registry select. */
export class Images implements AsyncDisposable {
  readonly mode: Mode
  /** The platform to choose from an index: this machine's. */
  readonly platform: Platform
  /** The socket of the daemon that holds the images, if one does. */
  readonly daemonSocket: string | undefined
  readonly #stores: Stores
  readonly #context: PhaseContext
  readonly #tmpDir = join(tmpdir(), `bale-${leaseName()}`)
  readonly #daemon: ImageTransport

  /** @throws BaleError 'arguments' for flags that exclude each other */
  constructor(context: PhaseContext) {
    const { inputs, env, log } = context
    this.#context = context
    this.mode = modeOf(context)
    const settings = storeSettings(env)
    this.platform = settings.platform
    if (this.mode.kind === 'daemon') this.daemonSocket = settings.dockerSocket
    this.#daemon = daemonTransport(context)
    this.#stores = new Stores(
      {
        ...settings,
        // The home directory may be missing or belong to another user. The random name cannot be predicted.
        cacheDir: this.#tmpDir,
        insecureRegistries: inputs.list('insecure-registry').map(registryHost),
      },
      log,
    )
    maskCredentials(this.#stores.credentials, log.mask)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A failed cleanup must hide neither the phase's result nor its error, so only the debug log shows it.
    await this.#stores[Symbol.asyncDispose]().catch((error: unknown) => {
      this.#context.log.event({ type: 'note', level: 'debug', text: `not cleaned up: ${(error as Error).message}` })
    })
    // If root created the directory, the process's present user may not be able to remove it from root's /tmp.
    await rm(this.#tmpDir, { recursive: true, force: true }).catch(() => {})
  }

  get credentials(): FoundCredentials {
    return this.#stores.credentials
  }

  /**
   * Prepares for another user, who can read neither the credentials nor our temporary files: looks up the credentials of
   * every repository in the inputs, and changes the owner of the files.
   */
  async handOver(owner: Owner): Promise<void> {
    const { inputs, signal } = this.#context
    const cacheImage = inputs.text('cache-image')
    const names = this.mode.kind === 'registry' ? [...inputs.positional, ...inputs.list('tag')] : []
    for (const name of [...names, ...(cacheImage === undefined ? [] : [cacheImage])])
      await this.#stores.credentials.find(repositoryName(parseReference(name)), signal)
    // A read-only root file system does not matter to a phase that writes no file there.
    const made = await mkdir(this.#tmpDir, { recursive: true, mode: 0o700 }).then(
      () => true,
      () => false,
    )
    if (made) await giveTree(this.#tmpDir, owner)
  }

  /** Opens an app or run image by name; in a daemon also by its ID. */
  async at(name: string): Promise<ImageAt> {
    return (await this.#runImageAt(name)) ?? (await this.#stores.at(this.#referenceTo(name)))
  }

  /**
   * BALE_RUN_IMAGE_LAYOUT: a layout in the builder image with the run image that run.toml names first. No registry is asked
   * for that image.
   */
  async #runImageAt(name: string): Promise<ImageAt | undefined> {
    const layout = this.#context.env['BALE_RUN_IMAGE_LAYOUT']
    if (layout === undefined || layout === '' || this.mode.kind !== 'registry') return undefined
    if (!existsSync(join(layout, 'index.json'))) return undefined
    const [own] = (await readRunDocument(this.#context)).images
    if (own === undefined) return undefined
    const [asked, ours] = [parseReference(name), parseReference(own.image)]
    const { digest } = asked
    if (repositoryName(asked) !== repositoryName(ours) || (digest === undefined && asked.tag !== ours.tag))
      return undefined
    const at = await this.#stores.at(ociLayout.at(layout))
    if (digest === undefined) return at
    const found = await at.source.pull(at.name, this.platform, this.#context.signal)
    return found?.digest === digest ? at : undefined
  }

  /** Returns the destinations of an image with these names: one for each repository or layout. */
  async destinations(names: readonly string[]): Promise<readonly [Destination, ...Destination[]]> {
    return this.#stores.destinationsAt(names.map(name => this.#referenceTo(name)))
  }

  /** Opens -cache-image or -cache-dir. Returns undefined if there is neither. */
  async cache(): Promise<BuildCache | undefined> {
    const { inputs, log } = this.#context
    const onWarning = (text: string): void => log.warn(text)
    const image = await this.cacheImage()
    if (image !== undefined)
      return new BuildCache(
        { layers: imageCache({ ...image.previous, sink: image.sink }, { platform: this.platform, onWarning }) },
        log,
      )
    const dir = inputs.text('cache-dir')
    if (dir !== undefined) {
      const blobInfo = await BlobInfoCache.open(dir)
      return new BuildCache({ layers: directoryCache(dir, { onWarning, index: blobInfo }), blobInfo }, log)
    }
    log.event({ type: 'note', level: 'info', text: 'No cached data will be used, no cache specified.' })
    return undefined
  }

  /**
   * Makes sure before any work that -cache-image can be read: without this, a wrong password would cost every build its cache,
   * with status 0. Other lifecycles exit with 1.
   * @throws BaleError of its registry
   */
  async checkCache(): Promise<void> {
    const image = await this.cacheImage()
    if (image !== undefined) await checkCacheImage(image.previous, this.platform, this.#context.signal)
  }

  /** -cache-image: always in a registry. */
  async cacheImage(): Promise<Destination | undefined> {
    const name = this.#context.inputs.text('cache-image')
    if (name === undefined) return undefined
    const reference = parseReference(name)
    const [place] = await this.#stores.destinationsAt([registry.at(reference)])
    return place
  }

  /** Opens an image in a registry, even if the app's images are elsewhere. */
  async inRegistry(name: string, signal?: AbortSignal): Promise<Image | undefined> {
    const { source, name: own } = await this.#stores.at(registry.at(parseReference(name)))
    return source.pull(own, this.platform, signal)
  }

  /**
   * Returns a reference by which the next phase finds exactly this image (platform.md, "analyzed.toml"): a digest in its registry, an ID in
   * the daemon, a digest in its layout.
   */
  identify(name: string, image: Image): string {
    if (this.mode.kind === 'daemon') return hexOf(image.imageId)
    const reference = parseReference(name)
    if (this.mode.kind === 'registry') return formatReference(atDigest(reference, image.digest))
    return `${join(this.mode.dir, layoutPath(reference))}@${image.digest}`
  }

  /** Opens the image that `identify` named. Returns undefined if it is gone or has been replaced. */
  async identified(reference: string, signal?: AbortSignal): Promise<Image | undefined> {
    const layout = this.mode.kind === 'layout' ? /^(.*)@(sha256:[0-9a-f]{64})$/.exec(reference) : null
    if (layout === null) {
      const { source, name } = await this.at(reference)
      return source.pull(name, this.platform, signal)
    }
    const [, path = '', digest] = layout
    const { source, name } = await this.#stores.at(ociLayout.at(path))
    const image = await source.pull(name, this.platform, signal)
    return image?.digest === digest ? image : undefined
  }

  #referenceTo(name: string): ImageReference {
    if (this.mode.kind === 'daemon') {
      const id = `sha256:${name.replace(/^sha256:/, '')}`
      return { ...dockerDaemon.at(isDigest(id) ? id : name), transport: this.#daemon }
    }
    const docker = parseReference(name)
    return this.mode.kind === 'registry' ? registry.at(docker) : ociLayout.at(join(this.mode.dir, layoutPath(docker)))
  }
}

/** Opens the daemon, with the launch cache if there is one. */
function daemonTransport({ inputs, log }: PhaseContext): ImageTransport {
  const dir = inputs.text('launch-cache')
  if (dir === undefined) return dockerDaemon
  return {
    ...dockerDaemon,
    async open(reference, context) {
      const { store } = await dockerDaemon.open(reference, context)
      return { store: withLaunchCache(store, dir, { onWarning: text => log.warn(text) }) }
    },
  }
}

function modeOf({ inputs, env, log }: PhaseContext): Mode {
  const daemon = inputs.flag('daemon')
  if (!daemon && inputs.text('launch-cache') !== undefined)
    log.warn('-launch-cache is ignored: it is only for use with -daemon')
  if (!inputs.flag('layout')) return daemon ? { kind: 'daemon' } : { kind: 'registry' }
  requireExperimental('export to the OCI layout format', env, log)
  if (daemon) throw new BaleError('arguments', 'an image can be exported to a daemon or to a layout, not to both')
  const dir = inputs.text('layout-dir')
  if (dir !== undefined) return { kind: 'layout', dir }
  throw new BaleError('arguments', 'the directory of the layouts is not given', {
    where: '-layout-dir',
    fix: 'give -layout-dir, or set CNB_LAYOUT_DIR',
  })
}

/** Returns the only argument of analyzer and creator. @throws BaleError 'arguments' for more */
export function onlyImage({ positional }: Inputs): readonly string[] {
  if (positional.length <= 1) return positional
  throw new BaleError('arguments', `received ${positional.length} arguments, but expected 1`, {
    fix: 'give more names with -tag, and flags before the image',
  })
}

/**
 * Checks and returns the names of the app image (platform.md, analyzer and exporter, Inputs).
 * @param digests whether a name may be a digest: analyzer reads such an image, and writes none
 * @throws BaleError 'arguments' for no name, a malformed name, or names in different registries
 */
export function checkedNames(
  names: readonly string[],
  { mode }: Images,
  binary: string,
  digests: 'tags only' | 'digests too' = 'tags only',
): readonly [string, ...string[]] {
  const [first, ...others] = names
  if (first === undefined)
    throw new BaleError('arguments', 'an image name is required', {
      fix: `write it after the flags: ${binary} [flags] IMAGE`,
    })
  const references = names.map(parseReference)
  const digest = references.find(r => r.digest !== undefined)
  if (digest !== undefined && digests === 'tags only')
    throw new BaleError('arguments', `${formatReference(digest)} cannot be the name of a new image: it has a digest`, {
      fix: 'write a tag instead of the digest',
    })
  const registries = new Set(references.map(r => r.registry))
  if (registries.size > 1 && mode.kind !== 'daemon')
    throw new BaleError(
      'arguments',
      `all names must be in the same registry, but they are in ${[...registries].join(', ')}`,
      {
        fix: 'export to one registry, and copy the image to the others',
      },
    )
  return [first, ...others]
}

/** Returns a daemon's image ID or a registry's digest, for a label. Never a path of this machine. */
export function portableReference(name: string, image: { digest: Digest; imageId: Digest }, { mode }: Images): string {
  if (mode.kind === 'daemon') return hexOf(image.imageId)
  return formatReference(atDigest(parseReference(name), image.digest))
}
