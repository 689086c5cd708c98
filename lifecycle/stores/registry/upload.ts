import type { Digest } from '../../image/digest.ts'
import type { Layer, LayerDigests, LayerSource } from '../../image/layer.ts'
import type { Compression } from '../../image/media-types.ts'
import { compressLayer } from '../../layers/compress.ts'
import { verified } from '../../layers/verify.ts'
import type { OnTransfer } from '../store.ts'
import { transfer } from '../transfer.ts'
import type { Access } from './authorizer.ts'
import type { Registry } from './client.ts'
import { failureAt } from './failures.ts'
import { Pipe } from './pipe.ts'
import { Transient, retrying } from './retry.ts'

/** How long we wait to give a broken-off session back; the registry forgets it some day anyway. */
const patience = 2_000

/**
 * Puts blobs into a repository (distribution spec, "Push"). Bytes of a known digest go in one PUT. For others it is one
 * streamed PATCH: of the ways to push in chunks, the one that all registries take, since Docker uses it. What breaks is
 * begun anew, since the end of a broken stream cannot be known without its digest.
 */
export class Uploader {
  readonly #registry: Registry
  readonly #repository: string
  readonly #onTransfer: OnTransfer | undefined

  constructor(registry: Registry, repository: string, onTransfer?: OnTransfer) {
    this.#registry = registry
    this.#repository = repository
    this.#onTransfer = onTransfer
  }

  /** Whether the repository has the blob. */
  async has(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const reply = await this.#registry.call({
      method: 'HEAD',
      url: `/v2/${this.#repository}/blobs/${digest}`,
      access: this.#access,
      accept: [200, 404],
      signal,
    })
    await reply.discard()
    return reply.status === 200
  }

  /** Makes a layer from its source, and sends it as it is made. */
  async putSource(source: LayerSource, compression: Compression, signal?: AbortSignal): Promise<LayerDigests> {
    let made: LayerDigests | undefined
    return this.#inSession(async location => {
      // The answer to a session that went well may have been lost.
      if (made !== undefined && (await this.has(made.digest, signal))) {
        await this.#cancel(location)
        return made
      }
      const pipe = new Pipe()
      const making = compressLayer(source, chunk => pipe.write(chunk), { compression, signal })
      making.then(
        () => pipe.end(),
        error => pipe.fail(error),
      )
      const sending = this.#send(location, pipe, source.createdBy, signal)
      // Nobody reads what is made any more.
      const unread = new Transient(
        failureAt({ method: 'PATCH', url: location }, 'the registry answered before it had all'),
      )
      sending.then(
        () => pipe.fail(unread),
        () => pipe.fail(unread),
      )
      const [layer, next] = await Promise.allSettled([making, sending])
      if (layer.status === 'rejected' && layer.reason !== unread) throw layer.reason
      if (next.status === 'rejected') throw next.reason
      if (layer.status === 'rejected') throw unread
      made = layer.value
      await this.#finish(next.value, made.digest, signal)
      return made
    }, signal)
  }

  /** Sends the bytes of a layer that some other store has. */
  async putLayer(layer: Layer, signal?: AbortSignal): Promise<void> {
    await this.#inSession(async location => {
      const progress = transfer(this.#onTransfer, layer.digest, layer.size)
      const source = new Watched(verified(layer.open(signal), layer), progress)
      try {
        await this.#finish(location, layer.digest, signal, { bytes: source, size: layer.size })
      } catch (error) {
        // The source's own failure, not what it led to here.
        throw source.failure ?? error
      }
    }, signal)
  }

  async putBytes(bytes: Uint8Array, digest: Digest, signal?: AbortSignal): Promise<void> {
    await this.#inSession(location => this.#finish(location, digest, signal, { bytes, size: bytes.length }), signal)
  }

  /** Takes the blob from another repository of the same registry; false if that is not to be had. */
  async mount(digest: Digest, from: string, signal?: AbortSignal): Promise<boolean> {
    const reply = await this.#registry.call({
      method: 'POST',
      url: `/v2/${this.#repository}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`,
      access: { ...this.#access, mountFrom: from },
      accept: [201, 202, 400, 401, 403, 404, 405],
      headers: { 'content-length': '0' },
      signal,
    })
    await reply.discard()
    // Refused with a session for an upload: given back, since the caller begins his own.
    if (reply.status === 202) await this.#cancel(await this.#registry.locate(reply.header('location')[0], reply))
    // A registry that says yes may yet not have it.
    return reply.status === 201 && (await this.has(digest, signal))
  }

  /** Begins an upload and breaks it off: whoever may do that may write. */
  async probe(signal?: AbortSignal): Promise<void> {
    await this.#cancel(await this.#start(signal))
  }

  get #access(): Access {
    return { repository: this.#repository, action: 'push' }
  }

  /** An upload, begun anew with a session of its own as long as it fails with a Transient. */
  #inSession<T>(work: (location: URL) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return retrying(
      async () => {
        const location = await this.#start(signal)
        try {
          return await work(location)
        } catch (error) {
          await this.#cancel(location)
          throw error
        }
      },
      this.#registry.limits,
      signal,
    )
  }

  async #start(signal: AbortSignal | undefined): Promise<URL> {
    const reply = await this.#registry.call({
      method: 'POST',
      url: `/v2/${this.#repository}/blobs/uploads/`,
      access: this.#access,
      accept: [202],
      headers: { 'content-length': '0' },
      signal,
    })
    await reply.discard()
    return this.#registry.locate(reply.header('location')[0], reply)
  }

  /** Streams bytes whose number is not known yet; returns where to go on. */
  async #send(location: URL, bytes: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal): Promise<URL> {
    const reply = await this.#registry.call({
      method: 'PATCH',
      url: location,
      access: this.#access,
      accept: [201, 202, 204],
      again: lostSession,
      headers: { 'content-type': 'application/octet-stream' },
      body: new Watched(bytes, transfer(this.#onTransfer, name)),
      slow: true,
      signal,
    })
    await reply.discard()
    const [next] = reply.header('location')
    return next === undefined ? location : this.#registry.locate(next, reply)
  }

  /** Closes a session, with the whole blob if it has not been sent yet. */
  async #finish(
    location: URL,
    digest: Digest,
    signal: AbortSignal | undefined,
    whole?: { bytes: Uint8Array | AsyncIterable<Uint8Array>; size: number },
  ): Promise<void> {
    const reply = await this.#registry.call({
      method: 'PUT',
      url: withDigest(location, digest),
      access: this.#access,
      accept: [201, 204],
      again: lostSession,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(whole?.size ?? 0) },
      ...(whole && { body: whole.bytes }),
      slow: true,
      signal,
    })
    await reply.discard()
  }

  async #cancel(location: URL): Promise<void> {
    const signal = AbortSignal.timeout(patience)
    const call = { method: 'DELETE', url: location, access: this.#access, accept: [204], once: true, signal } as const
    try {
      await (await this.#registry.call(call)).discard()
    } catch {
      // "Clients SHOULD ignore any failures" (distribution spec, "Cancel a blob upload").
    }
  }
}

/** The registry has forgotten the session, or has other bytes than we sent: a new one may fare better. */
const lostSession = [404, 416]

/** The location as it is, since its query may be signed, and the digest after it. */
function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location)
  url.search = `${url.search}${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`
  return url
}

/** Passes bytes on, counts them, and keeps the error that ended them. */
class Watched implements AsyncIterable<Uint8Array> {
  failure: unknown
  readonly #bytes: AsyncIterable<Uint8Array>
  readonly #progress: (bytes: number) => void

  constructor(bytes: AsyncIterable<Uint8Array>, progress: (bytes: number) => void) {
    this.#bytes = bytes
    this.#progress = progress
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#bytes) {
        yield chunk
        this.#progress(chunk.length)
      }
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}
