import type { Digest } from '../../image/digest.ts'
import type { Layer, LayerDigests, LayerSource } from '../../image/layer.ts'
import { compressLayer } from '../../layers/compression/compress.ts'
import { verified } from '../../layers/compression/verify.ts'
import type { OnTransfer, Packing } from '../store.ts'
import { transfer } from '../transfer.ts'
import type { Access } from './authorizer.ts'
import type { Registry } from './client.ts'
import { failureAt } from './failures.ts'
import { Pipe } from './pipe.ts'
import { Transient } from './retry.ts'
import { type Session, Sessions, lostSession } from './session.ts'

/**
 * Puts blobs into a repository (distribution spec, "Push"). Bytes of a known digest go in one PUT. For others it is one
 * streamed PATCH: of the ways to push in chunks, the one that all registries take, since Docker uses it. What breaks goes
 * on where it broke if the registry can say where that was: a layer has the same bytes each time it is made.
 */
export class Uploader {
  readonly #registry: Registry
  readonly #repository: string
  readonly #access: Access
  readonly #sessions: Sessions
  readonly #onTransfer: OnTransfer | undefined
  #honest: Promise<boolean> | undefined

  constructor(registry: Registry, repository: string, onTransfer?: OnTransfer) {
    this.#registry = registry
    this.#repository = repository
    this.#access = { repository, action: 'push' }
    this.#sessions = new Sessions(registry, this.#access)
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
  async putSource(source: LayerSource, packing: Packing, signal?: AbortSignal): Promise<LayerDigests> {
    let made: LayerDigests | undefined
    return this.#sessions.use(async session => {
      if (made !== undefined) {
        // The answer to a session that went well may have been lost.
        if (session.offset === 0 && (await this.has(made.digest, signal))) {
          await this.#sessions.cancel(session.location)
          return made
        }
        if (session.offset === made.size) {
          await this.#finish(session.location, made.digest, signal)
          return made
        }
      }
      const pipe = new Pipe()
      const making = compressLayer(source, chunk => pipe.write(chunk), { ...packing, signal })
      making.then(
        layer => {
          made = layer
          pipe.end()
        },
        error => pipe.fail(error),
      )
      const next = await this.#sendMade(making, session, pipe, source.createdBy, signal)
      const layer = await making
      await this.#finish(next, layer.digest, signal)
      return layer
    }, signal)
  }

  /** Sends a layer while it is made, but for what is there already; where the session goes on. */
  async #sendMade(
    making: Promise<LayerDigests>,
    session: Session,
    pipe: Pipe,
    name: string,
    signal?: AbortSignal,
  ): Promise<URL> {
    const sending = this.#send(session, pipe, name, signal)
    // Nobody reads what is made any more.
    const unread = new Transient(
      failureAt({ method: 'PATCH', url: session.location }, 'the registry answered before it had all'),
    )
    sending.then(
      () => pipe.fail(unread),
      () => pipe.fail(unread),
    )
    const [layer, next] = await Promise.allSettled([making, sending])
    if (layer.status === 'rejected' && layer.reason !== unread) throw layer.reason
    if (next.status === 'rejected') throw next.reason
    if (layer.status === 'rejected') throw unread
    return next.value
  }

  /** Sends the bytes of a layer that some other store has. */
  async putLayer(layer: Layer, signal?: AbortSignal): Promise<void> {
    await this.#sessions.use(async session => {
      const progress = transfer(this.#onTransfer, layer.digest, layer.size)
      const source = new Watched(verified(layer.open(signal), layer), progress)
      const rest = after(source, session)
      try {
        await this.#finish(session.location, layer.digest, signal, { bytes: rest, size: layer.size, ...session })
      } catch (error) {
        // The source's own failure, not what it led to here.
        throw source.failure ?? error
      }
    }, signal)
  }

  async putBytes(bytes: Uint8Array, digest: Digest, signal?: AbortSignal): Promise<void> {
    await this.#sessions.use(async session => {
      const rest = bytes.subarray(session.offset)
      await this.#finish(session.location, digest, signal, { bytes: rest, size: bytes.length, ...session })
    }, signal)
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
    if (reply.status === 202) {
      await this.#sessions.cancel(await this.#registry.locate(reply.header('location')[0], reply))
    }
    return reply.status === 201 && (await this.#keepsItsWord(digest, signal))
  }

  /**
   * A registry that says yes may yet not have the blob: the first one that it says it has mounted is looked for, and the
   * others are believed, or not, as that one was.
   */
  async #keepsItsWord(mounted: Digest, signal?: AbortSignal): Promise<boolean> {
    const looking = (this.#honest ??= this.has(mounted, signal))
    looking.catch(() => (this.#honest = undefined))
    return looking
  }

  /** Begins an upload and breaks it off: whoever may do that may write. */
  async probe(signal?: AbortSignal): Promise<void> {
    await this.#sessions.cancel(await this.#sessions.start(signal))
  }

  /** Streams bytes whose number is not known yet; returns where to go on. */
  async #send(session: Session, bytes: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal): Promise<URL> {
    const reply = await this.#registry.call({
      method: 'PATCH',
      url: session.location,
      access: this.#access,
      accept: [201, 202, 204],
      again: [404, 416],
      headers: { 'content-type': 'application/octet-stream' },
      body: after(new Watched(bytes, transfer(this.#onTransfer, name)), session),
      slow: true,
      signal,
    })
    await reply.discard()
    const [next] = reply.header('location')
    return next === undefined ? session.location : this.#registry.locate(next, reply)
  }

  /** Closes a session, with what is missing of the blob if it has not been sent yet. */
  async #finish(
    location: URL,
    digest: Digest,
    signal: AbortSignal | undefined,
    rest?: { bytes: Uint8Array | AsyncIterable<Uint8Array>; size: number; offset: number },
  ): Promise<void> {
    const { bytes, size, offset } = rest ?? { size: 0, offset: 0 }
    if (offset > size) throw hasMore({ method: 'PUT', url: location })
    const reply = await this.#registry.call({
      method: 'PUT',
      url: withDigest(location, digest),
      access: this.#access,
      accept: [201, 204],
      again: lostSession,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(size - offset),
        ...(offset > 0 && offset < size && { 'content-range': `${offset}-${size - 1}` }),
      },
      ...(offset < size && { body: bytes }),
      slow: true,
      signal,
    })
    await reply.discard()
  }
}

/** What a session lacks. The bytes before that are read as well: a source is hashed as a whole. */
async function* after(bytes: AsyncIterable<Uint8Array>, { location, offset }: Session): AsyncGenerator<Uint8Array> {
  let skip = offset
  for await (const chunk of bytes) {
    const rest = chunk.subarray(Math.min(skip, chunk.length))
    skip -= chunk.length - rest.length
    if (rest.length > 0) yield rest
  }
  if (skip > 0) throw hasMore({ method: 'PATCH', url: location })
}

/** A session with bytes that are not ours is of no use. */
function hasMore(request: { method: string; url: URL }): Transient {
  return new Transient(failureAt(request, 'the registry says that it has more bytes than were sent'), { status: 416 })
}

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
