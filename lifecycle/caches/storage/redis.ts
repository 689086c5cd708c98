import { BaleError } from '../../errors.ts'
import { escaped } from '../../stores/registry/redact.ts'
import type { ObjectStorage } from './storage.ts'

export interface RedisOptions {
  /** How long an object lives after its last write or use, in milliseconds. */
  readonly timeToLive: number
  /** The prefix of every key. */
  readonly prefix?: string | undefined
  /** Certificates in PEM that are trusted besides Node's, for rediss. */
  readonly ca?: readonly string[]
}

/** Milliseconds. */
const [connectTimeout, answerTimeout] = [15_000, 60_000]

/** The used parts of the client, with values as bytes. */
interface Client {
  get(key: string): Promise<Buffer | null>
  set(key: string, value: Buffer, options: { PX: number }): Promise<unknown>
  strLen(key: string): Promise<number>
  pExpire(key: string, milliseconds: number): Promise<number>
  destroy(): void
}

/**
 * Objects in Redis or Valkey, each with a time to live that use renews. Redis holds everything in memory, so it is for
 * small caches.
 * @param url `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS
 */
export function redisStorage(url: string, options: RedisOptions): ObjectStorage {
  const address = URL.parse(url)
  if (address === null || !/^rediss?:$/.test(address.protocol) || address.hostname === '')
    throw new BaleError('arguments', 'the URL of a cache in Redis is malformed', {
      fix: 'write url=redis://[user:password@]host[:port][/database], or rediss://',
    })
  const description = `cache ${address.protocol}//${address.host}${address.pathname}`
  const { timeToLive, prefix = 'bale' } = options
  let opened: Promise<Client> | undefined
  const use = async <T>(work: (client: Client) => Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
    signal?.throwIfAborted()
    try {
      const client = await (opened ??= connect(url, options))
      return await unlessAborted(work(client), signal)
    } catch (error) {
      signal?.throwIfAborted()
      throw failure(error, description)
    }
  }
  return {
    description,

    async get(key, limit, signal) {
      const value = await use(client => client.get(`${prefix}:${key}`), signal)
      if (value !== null && value.length > limit) throw tooLong(description, limit)
      return value ?? undefined
    },

    async size(key, signal) {
      return use(async client => {
        if ((await client.pExpire(`${prefix}:${key}`, timeToLive)) === 0) return undefined
        return (await client.strLen(`${prefix}:${key}`)) || undefined
      }, signal)
    },

    async put(key, bytes, signal) {
      const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      await use(client => client.set(`${prefix}:${key}`, value, { PX: timeToLive }), signal)
    },

    async [Symbol.asyncDispose]() {
      const client = await opened?.catch(() => undefined)
      client?.destroy()
    },
  }
}

async function connect(url: string, { ca = [] }: RedisOptions): Promise<Client> {
  const { RESP_TYPES, createClient } = await import('./redis-client.ts')
  const tls = url.startsWith('rediss:') ? { tls: true as const, ...(ca.length > 0 && { ca: [...ca] }) } : {}
  const client = createClient({
    url,
    // A build does not wait for an unavailable server.
    socket: {
      connectTimeout,
      socketTimeout: answerTimeout,
      reconnectStrategy: retries => retries < 3 && 200 * 2 ** retries,
      ...tls,
    },
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  })
  client.on('error', () => {}) // the command that fails reports it
  try {
    await client.connect()
  } catch (error) {
    client.destroy()
    throw error
  }
  return client
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    work.catch(() => {}) // it may fail after the signal
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function tooLong(where: string, limit: number): BaleError {
  return new BaleError('input', `an object is longer than ${limit} bytes`, { where })
}

function failure(error: unknown, where: string): unknown {
  if (error instanceof BaleError || !(error instanceof Error)) return error
  const message = escaped(
    error instanceof AggregateError && error.message === '' ? String(error.errors[0]) : error.message,
  )
  const fix = /^(NOAUTH|WRONGPASS|NOPERM)/.test(error.message)
    ? 'check user and password in the URL of the cache'
    : /^OOM/.test(error.message)
      ? 'give Redis more memory, or a policy that evicts: maxmemory-policy allkeys-lru'
      : 'check its address, and the network'
  return new BaleError('cache', message, { where, fix, cause: error })
}
