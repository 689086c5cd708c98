import type { Digest } from '../../image/digest.ts'
import type { Layer, LayerDigests, LayerSource } from '../../image/layer.ts'
import { compressLayer } from '../../layers/compression/compress.ts'
import { verified } from '../../layers/compression/verify.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { OnTransfer } from '../store.ts'
import { transfer } from '../transfer.ts'
import type { Access } from './authorizer.ts'
import type { Registry } from './client.ts'
import { failureAt } from './failures.ts'
import { Pipe } from './pipe.ts'
import { Transient } from './retry.ts'
import { type Session, Sessions, lostSession } from './session.ts'

/**
 * Puts blobs into a repository (distribution spec, "Push"). A blob of known digest goes in one PUT, any other in one streamed
 * PATCH: every registry accepts that form of chunked push, since Docker uses it. A broken upload continues at the offset that the registry
 * reports. A source yields the same bytes each time, so it can be read again.
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

  /** Makes a layer from its source, and sends it at the same time. */
  async putSource(source: LayerSource, packing: Packing, signal?: AbortSignal): Promise<LayerDigests> {
    let made: LayerDigests | undefined
    return this.#sessions.use(async session => {
      if (made !== undefined) {
        // The upload may have succeeded although its answer was lost.
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

  /** Sends a layer while it is made, except for bytes that the session has. @returns where the session continues */
  async #sendMade(
    making: Promise<LayerDigests>,
    session: Session,
    pipe: Pipe,
    name: string,
    signal?: AbortSignal,
  ): Promise<URL> {
    const sending = this.#send(session, pipe, name, signal)
    // The compressor must stop, since its output is no longer read.
    const unread = new Transient(
      failureAt({ method: 'PATCH', url: session.location }, 'the registry answered before it had received all data'),
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

  /** Sends the bytes of a layer from another store. */
  async putLayer(layer: Layer, signal?: AbortSignal): Promise<void> {
    await this.#sessions.use(async session => {
      const progress = transfer(this.#onTransfer, layer.digest, layer.size)
      const source = new Watched(verified(layer.open(signal), layer), progress)
      const rest = after(source, session)
      try {
        await this.#finish(session.location, layer.digest, signal, { bytes: rest, size: layer.size, ...session })
      } catch (error) {
        // The source's own failure explains more than the failed request.
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

  /** Mounts the blob from another repository of the same registry; false if the registry does not support that. */
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
    // The registry offers an upload session instead. It is cancelled, since the caller starts its own.
    if (reply.status === 202) {
      await this.#sessions.cancel(await this.#registry.locate(reply.header('location')[0], reply))
    }
    return reply.status === 201 && (await this.#keepsItsWord(digest, signal))
  }

  /**
   * A registry may report a mount that it did not make (R26). The first mounted blob is checked, and the result holds for all
   * others.
   */
  async #keepsItsWord(mounted: Digest, signal?: AbortSignal): Promise<boolean> {
    const looking = (this.#honest ??= this.has(mounted, signal))
    looking.catch(() => (this.#honest = undefined))
    return looking
  }

  /** Starts an upload and cancels it, which requires the permission to write. */
  async probe(signal?: AbortSignal): Promise<void> {
    await this.#sessions.cancel(await this.#sessions.start(signal))
  }

  /** Streams bytes of unknown length. @returns where the session continues */
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

  /** Closes a session. `rest` has the remaining bytes of the blob. */
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

/** The bytes that a session lacks. The bytes before them are read too, since the hash covers the whole blob. */
async function* after(bytes: AsyncIterable<Uint8Array>, { location, offset }: Session): AsyncGenerator<Uint8Array> {
  let skip = offset
  for await (const chunk of bytes) {
    const rest = chunk.subarray(Math.min(skip, chunk.length))
    skip -= chunk.length - rest.length
    if (rest.length > 0) yield rest
  }
  if (skip > 0) throw hasMore({ method: 'PATCH', url: location })
}

/** Such a session has bytes that were not sent here, and cannot be continued. */
function hasMore(request: { method: string; url: URL }): Transient {
  return new Transient(failureAt(request, 'the registry says that it has more bytes than were sent'), { status: 416 })
}

/** Appends the digest. The rest of the query stays as it is, since it may be signed. */
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
