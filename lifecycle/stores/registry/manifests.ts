import { BaleError } from '../../errors.ts'
import { type Digest, digestOf, isDigest } from '../../image/digest.ts'
import { docker, isIndex, isManifest, oci } from '../../image/media-types.ts'
import type { Reference } from '../../image/reference.ts'
import type { Registry } from './client.ts'
import { type Document, downloadManifest } from './download.ts'
import { failureAt } from './failures.ts'
import { type Name, nameIn, referenceOf } from './names.ts'

/** The bytes of a manifest or an index to send. */
export interface ManifestBytes {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export const anyManifest = [oci.manifest, oci.index, docker.manifest, docker.index]

/** Registries' messages about a tag that their rules protect. The specification has no code for it. */
const ofImmutableTag = /immutab|does not allow updating/i

const isOfImmutableTag = (error: unknown): error is BaleError =>
  error instanceof BaleError && error.code === 'registry' && ofImmutableTag.test(error.message)

/** The manifests and indexes of a repository, and the names that they have there (distribution-spec, "Pulling manifests", "Pushing Manifests"). */
export class Manifests {
  readonly #registry: Registry
  readonly #repository: Reference
  readonly #onKeptTag: ((name: string, failure: BaleError) => void) | undefined

  /** @param onKeptTag called for each tag that the registry protects from changes; without it, such a tag is an error */
  constructor(registry: Registry, repository: Reference, onKeptTag?: (name: string, failure: BaleError) => void) {
    this.#registry = registry
    this.#repository = repository
    this.#onKeptTag = onKeptTag
  }

  /** Reads a manifest, and verifies its digest. */
  async read(name: Name, types: readonly string[], signal?: AbortSignal): Promise<Document | undefined> {
    const found = await downloadManifest(this.#registry, this.#repository.repository, referenceOf(name), types, signal)
    if (found === undefined) return undefined
    const actual = digestOf(found.bytes)
    const [told] = found.reply.header('docker-content-digest')
    const wanted = name.kind === 'digest' ? name.digest : isDigest(told) ? told : actual
    if (actual !== wanted || (isDigest(told) && told !== actual)) {
      throw failureAt(found.reply, `the manifest has the digest ${actual}, not ${told ?? wanted}`)
    }
    return found
  }

  /**
   * Puts a manifest under each of these names; without a name, under its digest.
   * @returns the names that the manifest has
   */
  async put(manifest: ManifestBytes, targets: readonly Name[], signal?: AbortSignal): Promise<string[]> {
    if (targets.length === 0) await this.#putOne(manifest, { kind: 'digest', digest: manifest.digest }, signal)
    const names: string[] = []
    for (const target of targets) {
      const name = await this.#putOne(manifest, target, signal).then(
        () => target,
        (error: unknown) => {
          if (target.kind === 'tag' && isOfImmutableTag(error)) return this.#keepTag(manifest, target, error, signal)
          throw error
        },
      )
      names.push(this.#nameOf(name))
    }
    return [...new Set(names)]
  }

  /**
   * Handles a protected tag. It needs no change if it already refers to this manifest: builds are reproducible (R43).
   * @returns the name that the manifest has in its place
   * @throws BaleError `failure` if it refers to another one, and `onKeptTag` is not set
   */
  async #keepTag(manifest: ManifestBytes, tag: Name, failure: BaleError, signal?: AbortSignal): Promise<Name> {
    const there = await this.read(tag, anyManifest, signal)
    if (there !== undefined && digestOf(there.bytes) === manifest.digest) return tag
    const { code, message, where } = failure
    if (this.#onKeptTag === undefined)
      throw new BaleError(code, message, {
        where,
        cause: failure,
        fix: 'use another tag: this tag belongs to another image',
      })
    const byDigest: Name = { kind: 'digest', digest: manifest.digest }
    await this.#putOne(manifest, byDigest, signal)
    this.#onKeptTag(this.#nameOf(tag), failure)
    return byDigest
  }

  async #putOne({ digest, bytes, mediaType }: ManifestBytes, target: Name, signal?: AbortSignal): Promise<void> {
    const { repository } = this.#repository
    const reply = await this.#registry.call({
      method: 'PUT',
      url: `/v2/${repository}/manifests/${referenceOf(target)}`,
      access: { repository, action: 'push' },
      accept: [200, 201, 202],
      headers: { 'content-type': mediaType },
      body: bytes,
      slow: true,
      signal,
    })
    await reply.discard()
    const [stored] = reply.header('docker-content-digest')
    if (isDigest(stored) && stored !== digest) {
      throw failureAt(reply, `the registry stored the manifest ${digest} as ${stored}`)
    }
  }

  #nameOf(name: Name): string {
    return nameIn(this.#repository, name)
  }
}

/** The header and the document must name the same media type, since readers may use either (R31). */
export function checkContentType({ contentType, reply }: Document, mediaType: string): void {
  if ((isIndex(contentType) || isManifest(contentType)) && contentType !== mediaType) {
    throw failureAt(reply, `the answer is called ${contentType}, but it is ${mediaType}`)
  }
}
