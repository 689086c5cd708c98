import type { SecureContext } from 'node:tls'
import type { Agent, Dispatcher } from 'undici'
import { type Reach, checkReach, isLoopbackHost, literalAddress, nearest, reachOf, watchedLookup } from './addresses.ts'
import { failureAt, networkFailure } from './failures.ts'
import type { RegistryLimits } from './limits.ts'
import { type ProxySettings, proxyUrl } from './proxy.ts'
import type { Reply } from './reply.ts'
import { Transient } from './retry.ts'

export interface HttpOptions {
  /** The registry's certificates are not checked. */
  readonly insecure: boolean
  /** Certificates in PEM that are trusted besides Node's. */
  readonly ca: readonly string[]
  readonly proxy: ProxySettings
  /** Shown only to the registry. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined
  readonly limits: RegistryLimits
}

/** The purpose of a request: to the registry itself, or to a place that the registry named for contents, uploads or tokens. */
export type Purpose = 'registry' | 'contents' | 'uploads' | 'tokens'

export interface Exchange {
  readonly method: Dispatcher.HttpMethod
  readonly url: URL
  readonly purpose: Purpose
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  /** The registry has work to do before it answers. */
  readonly slow?: boolean
  readonly signal?: AbortSignal
}

/**
 * Bytes. A body is sent in pieces: small ones at first, to distinguish a slow connection from a dead one, and larger ones
 * on a fast connection, since each piece takes a turn of the event loop.
 */
const [smallPiece, largePiece] = [64 * 1024, 1024 * 1024]
/**
 * A socket buffers less than 64 KiB (undici's `highWaterMark`) and still asks for more. So a piece of twice that size has been
 * passed on when the next one is requested.
 */
const heldPiece = 128 * 1024
/** Milliseconds. */
const fast = 1000

/**
 * Makes single HTTP requests, without retries, redirects or authorization. It connects to a place that the registry names
 * only if its address is no nearer than the registry's own (addresses.ts).
 */
export class HttpClient {
  readonly #options: HttpOptions
  readonly #agents = new Map<string, Promise<Dispatcher>>()
  readonly #contexts = new Map<HttpOptions['client'], Promise<SecureContext>>()
  #home: Reach | undefined

  /** @throws BaleError if the URL of a proxy is malformed */
  constructor(options: HttpOptions) {
    const { http, https, no = '' } = options.proxy
    this.#options = { ...options, proxy: { http: proxyUrl(http), https: proxyUrl(https), no } }
  }

  /** @throws BaleError or Transient when there is no answer; the signal's reason when it is aborted */
  async exchange(exchange: Exchange): Promise<Reply> {
    const { method, url, purpose, headers, signal } = exchange
    const { limits } = this.#options
    signal?.throwIfAborted()
    const stop = new AbortController()
    const body = this.#paced(exchange, stop)
    try {
      const literal = literalAddress(url)
      if (literal !== undefined) this.#inspect(purpose, literal, [literal])
      const agent = await this.#agentFor(exchange)
      const data = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { ...headers, 'accept-encoding': 'identity' },
        // undici accepts any async iterable as a body, but its types know streams only.
        body: (body ?? null) as Buffer | null,
        headersTimeout: exchange.slow ? limits.commit : limits.answer,
        bodyTimeout: limits.idle,
        signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
      })
      return replyOf(exchange, data, limits)
    } catch (error) {
      signal?.throwIfAborted()
      throw networkFailure(exchange, error)
    }
  }

  async close(): Promise<void> {
    // The error of an agent that could not be made is that of its request.
    const agents = await Promise.allSettled(this.#agents.values())
    await Promise.all(agents.map(async agent => agent.status === 'fulfilled' && agent.value.destroy()))
  }

  /**
   * The body in pieces. A piece that is not sent in time ends the request. The producer may overwrite a chunk once the next
   * one is requested, so small pieces are copied.
   */
  #paced({ body, method, url }: Exchange, stop: AbortController): Exchange['body'] {
    if (body === undefined || body instanceof Uint8Array) return body
    const { limits } = this.#options
    const failure = new Transient(
      failureAt({ method, url }, `the server read nothing of the request for ${limits.idle / 1000} s`),
    )
    return (async function* () {
      let size = smallPiece
      for await (const chunk of body) {
        for (let at = 0; at < chunk.length;) {
          const timer = setTimeout(() => stop.abort(failure), limits.idle)
          const started = performance.now()
          try {
            const piece = chunk.subarray(at, at + size)
            yield piece.length < heldPiece ? Buffer.from(piece) : piece
          } finally {
            clearTimeout(timer)
          }
          at += size
          size = performance.now() - started < fast ? Math.min(2 * size, largePiece) : smallPiece
        }
      }
    })()
  }

  #agentFor({ purpose, url }: Exchange): Promise<Dispatcher> {
    const { proxy } = this.#options
    // Registries on this machine need no proxy, and each of curl's variables is for one scheme.
    const near = purpose === 'registry' && isLoopbackHost(url)
    const way = near ? '' : ((url.protocol === 'https:' ? proxy.https : proxy.http) ?? '')
    const key = `${purpose} ${url.protocol} ${way !== ''}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = this.#makeAgent(purpose, url.protocol === 'https:', way)
    this.#agents.set(key, agent)
    return agent
  }

  /** @param way the URL of the proxy; empty for none */
  async #makeAgent(purpose: Purpose, secure: boolean, way: string): Promise<Dispatcher> {
    const { insecure, proxy, client, limits } = this.#options
    // Loaded on first use: it takes 120 ms, and most commands use no registry.
    const undici = await import('../undici.ts')
    const tls = {
      rejectUnauthorized: !(insecure && purpose === 'registry'),
      ...(secure && { secureContext: await this.#secureContext(purpose === 'registry' ? client : undefined) }),
    }
    const lookup = watchedLookup((host, addresses) => this.#inspect(purpose, host, addresses))
    const options: Agent.Options = {
      connect: { ...tls, lookup },
      connectTimeout: limits.connect,
      // One connection for each transfer, so that a stalled one does not block the others.
      allowH2: false,
    }
    if (way === '') return new undici.Agent(options)
    return new undici.EnvHttpProxyAgent({
      ...options,
      requestTls: { ...tls, allowH2: false },
      proxyTls: { allowH2: false, ...(way.startsWith('https:') && { secureContext: await this.#secureContext() }) },
      httpProxy: proxy.http,
      httpsProxy: proxy.https,
      noProxy: proxy.no,
    })
  }

  /**
   * The trusted certificates, and the client's own. Connections share them: parsing a system's certificates takes 50 ms. TLS is
   * loaded on use, since it takes 15 ms.
   */
  #secureContext(client?: HttpOptions['client']): Promise<SecureContext> {
    const known = this.#contexts.get(client)
    if (known !== undefined) return known
    const { ca } = this.#options
    const made = import('node:tls').then(({ createSecureContext, getCACertificates }) =>
      createSecureContext({ ...(ca.length > 0 && { ca: [...getCACertificates(), ...ca] }), ...client }),
    )
    this.#contexts.set(client, made)
    return made
  }

  #inspect(purpose: Purpose, host: string, addresses: readonly string[]): void {
    if (purpose === 'registry') {
      this.#home = addresses.map(reachOf).reduce(nearest)
      return
    }
    // A proxy resolves names itself, so the registry's address is unknown.
    const home = this.#home ?? 'private'
    // A public registry with storage in a private network is common, and contents are verified by digest.
    checkReach(host, addresses, purpose === 'contents' ? nearest(home, 'private') : home, purpose)
  }
}

function replyOf(
  request: Exchange,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  limits: RegistryLimits,
): Reply {
  // An error of an unread body must not end the process.
  body.on('error', () => {})
  return {
    method: request.method,
    url: request.url,
    status: statusCode,
    header: name => [headers[name] ?? []].flat(),
    async *body() {
      try {
        yield* steady(body, limits, request)
      } catch (error) {
        request.signal?.throwIfAborted()
        throw networkFailure(request, error)
      }
    },
    discard: () => body.dump({ limit: limits.error, signal: AbortSignal.timeout(limits.idle) }).catch(() => {}),
  }
}

/** The bytes, as long as they arrive fast enough: a slow server would block the build forever (R05). */
async function* steady(
  body: AsyncIterable<Uint8Array>,
  limits: RegistryLimits,
  request: Exchange,
): AsyncGenerator<Uint8Array> {
  let [waited, came, since] = [0, 0, performance.now()]
  for await (const chunk of body) {
    waited += performance.now() - since
    came += chunk.length
    if (waited > limits.idle) {
      if (came < (limits.slowest * waited) / 1000) {
        const rate = `${came} bytes in ${Math.round(waited / 1000)} s`
        throw new Transient(failureAt(request, `the answer is too slow: ${rate}`))
      }
      ;[waited, came] = [0, 0]
    }
    yield chunk
    since = performance.now() // the reader's time does not count
  }
}

/** The whole body, if it has at most `limit` bytes. */
export async function readAll(reply: Reply, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of reply.body()) {
    size += chunk.length
    if (size > limit) throw failureAt(reply, `the answer is longer than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The first bytes of the body, at most `limit`. */
export async function readStart(reply: Reply, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of reply.body()) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= limit) break
    }
  } catch (error) {
    if (!(error instanceof Transient)) throw error // a truncated error body still helps
  }
  return Buffer.concat(chunks).subarray(0, limit)
}
