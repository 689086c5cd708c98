import { BaleError } from '../../errors.ts'
import type { Access } from './authorizer.ts'
import type { Registry } from './client.ts'
import { Transient, retrying } from './retry.ts'

/**
 * An upload in progress (distribution spec, "Pushing a blob in chunks"): the URL to continue at, and the bytes received so far.
 */
export interface Session {
  readonly location: URL
  readonly offset: number
}

/** Milliseconds for cancelling an abandoned session. The registry expires it anyway. */
const patience = 2_000

/** Statuses of a session that the registry lost, or that has different bytes. A new session may succeed. */
export const lostSession = [400, 404, 416]

/** The uploads to one repository. */
export class Sessions {
  readonly #registry: Registry
  readonly #access: Access

  constructor(registry: Registry, access: Access) {
    this.#registry = registry
    this.#access = access
  }

  /**
   * Runs `work` in a session, and repeats it after a Transient: in the same session from the offset that the registry
   * reports, or else in a new session from the start. The work ends with the digest of the whole blob, so wrong bytes in a
   * session never become a blob.
   */
  async use<T>(work: (session: Session) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    let session: Session | undefined
    const attempt = async (): Promise<T> => {
      session = (session && (await this.#resume(session, signal))) ?? { location: await this.start(signal), offset: 0 }
      try {
        return await work(session)
      } catch (error) {
        if (error instanceof Transient && !lostSession.includes(error.status ?? 0)) throw error
        const { location } = session
        session = undefined
        await this.cancel(location)
        throw error
      }
    }
    try {
      return await retrying(attempt, this.#registry.limits, signal, () => session?.offset ?? 0)
    } catch (error) {
      if (session !== undefined) await this.cancel(session.location)
      throw error
    }
  }

  async start(signal: AbortSignal | undefined): Promise<URL> {
    const reply = await this.#registry.call({
      method: 'POST',
      url: `/v2/${this.#access.repository}/blobs/uploads/`,
      access: this.#access,
      accept: [202],
      headers: { 'content-length': '0' },
      signal,
    })
    await reply.discard()
    return this.#registry.locate(reply.header('location')[0], reply)
  }

  async cancel(location: URL): Promise<void> {
    const signal = AbortSignal.timeout(patience)
    const call = { method: 'DELETE', url: location, access: this.#access, accept: [204], once: true, signal } as const
    try {
      await (await this.#registry.call(call)).discard()
    } catch {
      // "Clients SHOULD ignore any failures" (distribution spec, "Cancel a blob upload").
    }
  }

  /** The session as the registry reports it. Undefined, and cancelled, if it has no bytes to continue from. */
  async #resume({ location }: Session, signal: AbortSignal | undefined): Promise<Session | undefined> {
    try {
      const call = { method: 'GET', url: location, access: this.#access, accept: [204, 200, 202], once: true } as const
      const reply = await this.#registry.call({ ...call, signal })
      await reply.discard()
      const [next] = reply.header('location')
      const end = Number(/^(?:bytes=)?0-(\d{1,15})$/.exec(reply.header('range')[0] ?? '')?.[1] ?? 0)
      const there = next === undefined ? location : await this.#registry.locate(next, reply)
      // `0-0` means one byte by the specification, but registries report it for an empty session.
      if (end > 0) return { location: there, offset: end + 1 }
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BaleError)) throw error // a Transient: the next attempt asks again
    }
    await this.cancel(location)
    return undefined
  }
}
