import { BaleError } from '../../errors.ts'
import { HttpClient, readStart } from '../../stores/registry/http.ts'
import { type RegistryLimits, defaultLimits } from '../../stores/registry/limits.ts'
import { type ProxySettings, proxySettings } from '../../stores/registry/proxy.ts'
import { Secrets, escaped, redacted } from '../../stores/registry/redact.ts'
import type { Reply } from '../../stores/registry/reply.ts'
import { Transient, parseRetryAfter, retrying } from '../../stores/registry/retry.ts'
import type { ObjectStorage } from './storage.ts'

/** Settings for requests to a server. */
export interface HttpAccess {
  readonly proxy?: ProxySettings
  /** Certificates in PEM that are trusted besides Node's. */
  readonly ca?: readonly string[]
  readonly limits?: Partial<RegistryLimits>
}

export interface HttpStorageOptions extends HttpAccess {
  readonly description?: string
  /** The value of the Authorization header, in place of the URL's user and password. */
  readonly authorization?: string | undefined
  /** Milliseconds after which the server deletes objects. Objects older than half of that are written again. */
  readonly timeToLive?: number | undefined
}

/** A request before it is authorized. */
export interface StorageRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'MKCOL'
  readonly url: URL
  readonly body?: Uint8Array
}

/** Returns the headers that authorize a request. */
export type Authorize = (request: StorageRequest) => Promise<Readonly<Record<string, string>>>

/**
 * Objects below a URL, by GET, HEAD and PUT, as nginx, Apache, bazel-remote, Artifactory and Nexus serve them. If a PUT is
 * answered with 409, WebDAV's collections are made (RFC 4918, section 9.7.1).
 */
export function httpStorage(url: string, options: HttpStorageOptions = {}): ObjectStorage {
  const base = parseUrl(url)
  const [user, password] = [base.username, base.password].map(decode)
  const secrets = new Secrets()
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const authorization = options.authorization ?? (user === '' && password === '' ? undefined : basic)
  for (const secret of [password ?? '', authorization ?? '']) secrets.add(secret)
  base.username = base.password = ''
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  const description = options.description ?? `cache ${redacted(base)}`
  return requestStorage(base, { ...options, description, secrets, authorize: () => Promise.resolve(headers) })
}

/** Objects below a URL, with requests that `authorize` completes. */
export function requestStorage(
  base: URL,
  options: HttpStorageOptions & {
    readonly description: string
    readonly secrets: Secrets
    readonly authorize: Authorize
  },
): ObjectStorage {
  const { description, secrets, authorize, timeToLive } = options
  const limits: RegistryLimits = { ...defaultLimits, ...options.limits }
  const client = new HttpClient({ insecure: false, ca: options.ca ?? [], proxy: options.proxy ?? {}, limits })
  const urlOf = (key: string): URL => new URL(`${base.href.replace(/\/*$/, '/')}${key}`)

  const send = async (request: StorageRequest, accept: readonly number[], signal?: AbortSignal): Promise<Reply> => {
    const once = async (): Promise<Reply> => {
      const headers = { ...(await authorize(request)), ...lengthOf(request.body) }
      const reply = await client.exchange({
        ...request,
        method: request.method,
        purpose: 'registry',
        headers,
        signal,
      })
      if (accept.includes(reply.status)) return reply
      throw await refusal(reply, description, limits, secrets)
    }
    try {
      return await retrying(once, limits, signal)
    } catch (error) {
      signal?.throwIfAborted()
      throw asCacheError(error, description)
    }
  }
  const make = async (key: string, signal?: AbortSignal): Promise<void> => {
    const folders = key.split('/').slice(0, -1)
    for (let depth = 0; depth <= folders.length; depth++) {
      const url = urlOf(`${folders.slice(0, depth).join('/')}/`.replace(/^\//, ''))
      // 405: the collection exists; 301: nginx's answer for the same; 409 and 403: above the served directory.
      await (await send({ method: 'MKCOL', url }, [200, 201, 301, 403, 405, 409], signal)).discard()
    }
  }

  return {
    description,

    async get(key, limit, signal) {
      const request = { method: 'GET', url: urlOf(key) } as const
      const read = async (): Promise<Uint8Array | undefined> => {
        const reply = await send(request, [200, 404, 410], signal)
        if (reply.status === 200) return readObject(reply, limit, description)
        await reply.discard()
        return undefined
      }
      try {
        return await retrying(read, limits, signal)
      } catch (error) {
        signal?.throwIfAborted()
        throw asCacheError(error, description)
      }
    },

    async size(key, signal) {
      const reply = await send({ method: 'HEAD', url: urlOf(key) }, [200, 404, 410], signal)
      await reply.discard()
      const size = Number(reply.header('content-length')[0] ?? Number.NaN)
      const written = Date.parse(reply.header('last-modified')[0] ?? '')
      const old = timeToLive !== undefined && !(Date.now() - written < timeToLive / 2)
      return reply.status === 200 && Number.isSafeInteger(size) && !old ? size : undefined
    },

    async put(key, body, signal) {
      const put = () => send({ method: 'PUT', url: urlOf(key), body }, [200, 201, 204, 409], signal)
      let reply = await put()
      await reply.discard()
      if (reply.status !== 409) return
      await make(key, signal)
      reply = await put()
      if (reply.status !== 409) return reply.discard()
      throw (await refusal(reply, description, limits, secrets)) as BaleError
    },

    [Symbol.asyncDispose]: () => client.close(),
  }
}

async function readObject(reply: Reply, limit: number, where: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of reply.body()) {
    size += chunk.length
    if (size > limit) throw new BaleError('input', `an object is longer than ${limit} bytes`, { where })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The proxies of the environment, and the machine's certificate authorities. */
export function httpAccess(
  environment: Readonly<Record<string, string | undefined>>,
  ca: readonly string[],
): HttpAccess {
  return { proxy: proxySettings(environment), ca }
}

/** @throws BaleError, which does not show the text, since it may contain a password */
export function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '' && url.search === '' && url.hash === '')
    return url
  throw new BaleError('arguments', 'the URL of a cache is not one of http or https without a query', {
    fix: 'write for example url=https://cache.example.com/bale',
  })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const lengthOf = (body: Uint8Array | undefined): Record<string, string> =>
  body === undefined ? {} : { 'content-length': String(body.length) }

/** Statuses of temporary failures, after which another attempt may succeed. */
const passing = [408, 425, 429, 500, 502, 503, 504]

async function refusal(
  reply: Reply,
  description: string,
  limits: RegistryLimits,
  secrets: Secrets,
): Promise<BaleError | Transient> {
  const { status, method } = reply
  const body = (await readStart(reply, limits.error)).toString()
  const words = secrets.hide(wordsOf(body))
  const failure = new BaleError('cache', `it answered ${status} to ${method}${words && `: ${words}`}`, {
    where: description,
    fix: fixOf(status, method),
  })
  const retryAfter = parseRetryAfter(reply.header('retry-after')[0], Date.now())
  return passing.includes(status) ? new Transient(failure, { retryAfter, status }) : failure
}

/** The message in S3's XML (`<Code>`, `<Message>`), or the first line of plain text. */
function wordsOf(body: string): string {
  const [code, message] = ['Code', 'Message'].map(tag => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(body)?.[1] ?? '')
  if (code !== '' || message !== '') return escaped([code, message].filter(Boolean).join(': '))
  return /^\s*</.test(body) ? '' : escaped(body.trim().split('\n', 1)[0] ?? '', 200)
}

function fixOf(status: number, method: string): string | undefined {
  if (status === 401 || status === 403) return 'check the credentials of the cache, and their permissions'
  if (status === 301 || status === 307 || status === 308) return 'give the address or the region that it redirects to'
  if (method === 'PUT' && (status === 405 || status === 500))
    return 'let the server accept PUT and make folders: for nginx, dav_methods PUT and create_full_put_path on'
  if (status === 413) return 'let the server accept bodies of 5 MB'
  return undefined
}

/** Converts a failure to a cache error. */
function asCacheError(error: unknown, where: string): unknown {
  if (!(error instanceof BaleError) || error.code === 'cache' || error.code === 'input') return error
  return new BaleError('cache', error.message, { where, fix: 'check its address, and the network', cause: error.cause })
}
