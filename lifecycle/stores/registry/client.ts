import { BaleError } from '../../errors.ts'
import type { Credentials } from '../credentials.ts'
import { isLoopbackHost, mayLackTls } from './addresses.ts'
import { type Access, Authorizer } from './authorizer.ts'
import { failureAt, isCertificateError, refusalAt } from './failures.ts'
import { type RegistryLimits, defaultLimits } from './limits.ts'
import type { ProxySettings } from './proxy.ts'
import type { Reply } from './reply.ts'
import { Transient, retrying } from './retry.ts'
import { type Exchange, HttpClient, readStart } from './http.ts'
import { Secrets } from './redact.ts'

export interface RegistryOptions {
  /** Host and optional port: `index.docker.io`, `localhost:5000`. */
  readonly registry: string
  readonly credentials: Credentials
  /** See `unusedLogin`: for the advice in errors without credentials. */
  readonly unusedLogin?: string | undefined
  /** Certificates are not checked, and http is allowed. `mayLackTls` allows some hosts http without this. */
  readonly insecure?: boolean
  /** Certificates are not checked. */
  readonly unverified?: boolean
  /** The client certificate and key, in PEM (mutual TLS). */
  readonly client?: { readonly cert: string; readonly key: string }
  /** The platform's name, for the registry's logs. */
  readonly userAgent?: string
  /** Certificates in PEM that are trusted besides Node's. */
  readonly ca?: readonly string[]
  /** See `proxySettings`, which reads them from the environment. */
  readonly proxy?: ProxySettings
  readonly limits?: Partial<RegistryLimits>
}

export interface Call {
  readonly method: Exchange['method']
  /** A path on the registry, or a URL that the registry named. */
  readonly url: string | URL
  readonly access: Access
  /** Statuses that are not failures. */
  readonly accept: readonly number[]
  readonly headers?: Readonly<Record<string, string>>
  /** Further statuses that another attempt may avoid. */
  readonly again?: readonly number[]
  /** Makes one attempt only. */
  readonly once?: boolean
  /** Bytes are sent again if needed. An iterable is read once, and the caller starts over after a Transient. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  readonly slow?: boolean
  readonly signal?: AbortSignal
}

/** A client of one registry, with one pool of connections and tokens for all repositories. */
export class Registry implements AsyncDisposable {
  readonly host: string
  readonly limits: RegistryLimits
  readonly #http: HttpClient
  readonly #authorizer: Authorizer
  readonly #secrets = new Secrets()
  readonly #userAgent: string
  readonly #schemes: readonly ('https' | 'http')[]
  #origin: Promise<URL> | undefined

  constructor(options: RegistryOptions) {
    const {
      registry,
      credentials,
      unusedLogin,
      insecure = false,
      unverified = false,
      ca = [],
      proxy = {},
      client,
    } = options
    this.host = registry
    this.limits = { ...defaultLimits, ...options.limits }
    this.#userAgent = options.userAgent === undefined ? 'bale' : `bale ${options.userAgent}`
    this.#schemes = insecure || mayLackTls(new URL(`http://${registry}`)) ? ['https', 'http'] : ['https']
    this.#http = new HttpClient({ insecure: insecure || unverified, ca, proxy, client, limits: this.limits })
    this.#authorizer = new Authorizer({
      registry,
      credentials,
      unusedLogin,
      http: this.#http,
      secrets: this.#secrets,
      limits: this.limits,
      userAgent: this.#userAgent,
    })
  }

  /**
   * Returns the registry's answer, if its status is one of `accept`. Authorizes requests when the registry asks for it, follows
   * redirects of GET and HEAD, and repeats requests after a temporary failure (unless the body is an iterable).
   * @throws BaleError 'registry' with method, URL, status and the registry's own message
   */
  async call(call: Call): Promise<Reply> {
    const once = async () => {
      const reply = await this.#redirected(call)
      if (call.accept.includes(reply.status)) return reply
      const failure = await this.#refusal(reply, call.access)
      throw call.again?.includes(reply.status) && failure instanceof BaleError
        ? new Transient(failure, { status: reply.status })
        : failure
    }
    // A caller that sends a stream or continues a session repeats its work itself.
    return isStream(call.body) || call.again || call.once ? once() : retrying(once, this.limits, call.signal)
  }

  /** The URL of a Location header, on the registry or elsewhere. */
  async locate(location: string | undefined, reply: Reply): Promise<URL> {
    const url = location === undefined ? null : URL.parse(location, reply.url.href)
    if (url === null) throw failureAt(reply, 'the registry answered without a usable Location')
    if (url.protocol === reply.url.protocol) return url
    const origin = await this.#reach()
    if (url.protocol === 'http:' && url.hostname === origin.hostname) {
      // Behind a proxy that terminates TLS, a registry assumes that clients use http.
      return new URL(`${origin.origin}${url.pathname}${url.search}`)
    }
    // A registry may be configured with an https URL although it only serves http.
    if (url.host === origin.host) return new URL(`${origin.origin}${url.pathname}${url.search}`)
    if (url.protocol === 'https:') return url
    throw failureAt(
      reply,
      `the registry redirects from ${reply.url.protocol}// to ${url.protocol}//, which Bale does not follow`,
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async close(): Promise<void> {
    await this.#http.close()
  }

  async #redirected(call: Call): Promise<Reply> {
    const origin = await this.#reach(call.signal)
    let url = new URL(call.url.toString(), origin)
    for (let hops = 0; ; hops++) {
      const reply = await this.#authorized(call, url, origin)
      if (!reads(call.method) || ![301, 302, 303, 307, 308].includes(reply.status)) return reply
      await reply.discard()
      if (hops === this.limits.redirects) throw failureAt(reply, `the registry redirects more than ${hops} times`)
      url = await this.locate(reply.header('location')[0], reply)
    }
  }

  async #authorized(call: Call, url: URL, origin: URL): Promise<Reply> {
    const { method, access, body, slow, signal } = call
    const headers = { 'user-agent': this.#userAgent, ...call.headers }
    // Other hosts get no credentials. A signed URL is enough for storage.
    if (url.origin !== origin.origin) {
      const purpose = reads(method) ? 'contents' : 'uploads'
      return this.#http.exchange({ method, url, purpose, headers, body, slow, signal })
    }
    const exchange = { method, url, purpose: 'registry', body, slow, signal } as const
    let sent = await this.#authorizer.header(access, signal)
    for (let renewals = 0; ; renewals++) {
      const reply = await this.#http.exchange({ ...exchange, headers: authorized(headers, sent) })
      // A token may expire on its way. The number of renewals is limited (R09).
      if (reply.status !== 401 || renewals === 2) return reply
      const header = await this.#authorizer.answer(reply, access, sent, signal)
      if (header === undefined) return reply
      if (isStream(body)) {
        const failure = await this.#refusal(reply, access)
        throw failure instanceof Transient ? failure : new Transient(failure)
      }
      await reply.discard()
      sent = header
    }
  }

  async #refusal(reply: Reply, access: Access): Promise<BaleError | Transient> {
    const asker = this.#authorizer.asker(access)
    return refusalAt(reply, await readStart(reply, this.limits.error), asker, this.#secrets)
  }

  /** Scheme and host of the registry. http only where `#schemes` permits it and https does not answer. */
  #reach(signal?: AbortSignal): Promise<URL> {
    if (this.#origin === undefined) {
      const origin = this.#findOrigin(signal)
      this.#origin = origin
      origin.catch(() => (this.#origin = undefined))
    }
    return this.#origin
  }

  async #findOrigin(signal?: AbortSignal): Promise<URL> {
    const [https, http] = this.#schemes.map(scheme => new URL(`${scheme}://${this.host}/`))
    if (https === undefined) throw new TypeError('a registry is reached somehow')
    if (http === undefined) return https
    // Most registries on this machine use http, and loading TLS takes 40 ms.
    const order = isLoopbackHost(http) && http.port !== '' ? [http, https] : [https, http]
    const find = async (): Promise<URL> => {
      let [answered, failed]: [boolean, unknown] = [false, undefined]
      for (const origin of order) {
        try {
          const status = await this.#probe(origin, signal)
          // https servers answer http requests with 400.
          if (status !== 400 || origin === https) return origin
          answered = true
        } catch (error) {
          signal?.throwIfAborted()
          // A bad certificate is a failure. It must not lead to http (R39).
          const failure = error instanceof Transient ? error.failure : error
          if (!(failure instanceof BaleError) || isCertificateError(failure.cause)) throw error
          if (origin === http) failed = error
        }
      }
      if (answered) return http
      throw failed
    }
    return retrying(find, this.limits, signal)
  }

  async #probe(origin: URL, signal?: AbortSignal): Promise<number> {
    const headers = { 'user-agent': this.#userAgent }
    const url = new URL('/v2/', origin)
    const reply = await this.#http.exchange({ method: 'GET', url, purpose: 'registry', headers, signal })
    await reply.discard()
    return reply.status
  }
}

const reads = (method: string): boolean => method === 'GET' || method === 'HEAD'
const isStream = (body: Call['body']): boolean => body !== undefined && !(body instanceof Uint8Array)

function authorized(headers: Record<string, string>, authorization: string | undefined): Record<string, string> {
  return authorization === undefined ? headers : { ...headers, authorization }
}
