import { Readable } from 'node:stream'
import type { Pool } from 'undici'
import { BaleError } from '../../errors.ts'
import { type Digest, isDigest } from '../../image/digest.ts'
import { parseJson } from '../../image/json.ts'
import { escaped } from '../registry/redact.ts'

/** The part of the Docker Engine API that the store uses. Podman serves the same API. */
export interface DaemonApi {
  ping(signal?: AbortSignal): Promise<void>
  /** The daemon's description of an image, by reference or ID; undefined if there is no such image. */
  inspect(name: string, signal?: AbortSignal): Promise<InspectedImage | undefined>
  /** The steps that made an image, newest first. */
  history(id: Digest, signal?: AbortSignal): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** The archive of `docker save`. */
  save(name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array>
  /** @throws BaleError 'daemon' with the daemon's own message if it refuses the archive */
  load(archive: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>
  /** Whether layers are kept by the chain of their diffIDs: Docker does that, Podman and containerd do not. */
  keepsChains(signal?: AbortSignal): Promise<boolean>
}

export interface InspectedImage {
  /** The digest of its config; with containerd, of its manifest. */
  readonly id: Digest
  readonly diffIds: readonly string[]
  /** The whole answer. */
  readonly inspect: Readonly<Record<string, unknown>>
}

/** Time limit in milliseconds for answers that need no work. */
const answerTime = 60_000
const maxAnswer = 16 * 1024 * 1024
const maxWords = 64 * 1024

/** @param socketPath a path, or `tcp://HOST:PORT`, which pack passes if the daemon has no socket here */
export function daemonApi(socketPath: string): DaemonApi {
  let pool: Promise<Pool> | undefined
  const connect = async (): Promise<Pool> => {
    // undici takes 50 to 120 ms to load, so only commands that use a daemon load it.
    const { Pool } = await import('../undici.ts')
    // Saving and loading have no time limit. The signal ends them.
    const options = { connections: 4, headersTimeout: 0, bodyTimeout: 0 }
    const [, address] = /^tcp:\/\/([^/]+)\/?$/.exec(socketPath) ?? []
    if (address !== undefined) return new Pool(`http://${address}`, options)
    if (!socketPath.includes('://')) return new Pool('http://localhost', { ...options, socketPath })
    throw new BaleError('daemon', 'Bale connects to a daemon by its socket, or by TCP without TLS', {
      where: `DOCKER_HOST ${escaped(socketPath)}`,
      fix: 'set it to unix:///PATH or tcp://HOST:PORT, or leave it out',
    })
  }

  /** Makes a request and yields the body of its answer. Every failure becomes a BaleError 'daemon'. */
  async function* exchange(request: Request, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    signal?.throwIfAborted()
    const { method, path, body } = request
    try {
      const dispatcher = await (pool ??= connect())
      const reply = await dispatcher.request({
        method,
        path,
        ...(body && {
          body: Readable.from(body, { objectMode: false }),
          headers: { 'content-type': 'application/x-tar' },
        }),
        signal,
      })
      if (reply.statusCode < 300) yield* reply.body as AsyncIterable<Uint8Array>
      else throw new Refusal(reply.statusCode, wordsOf(await readAll(reply.body, maxWords, 'cut')))
    } catch (error) {
      signal?.throwIfAborted()
      throw failureOf(error, request, socketPath)
    }
  }

  const getJson = async (path: string, signal?: AbortSignal): Promise<unknown> => {
    const late = AbortSignal.timeout(answerTime)
    const either = signal === undefined ? late : AbortSignal.any([signal, late])
    const request = { method: 'GET', path } as const
    const bytes = await readAll(exchange(request, either), maxAnswer, 'fail').catch((error: unknown) => {
      signal?.throwIfAborted()
      throw late.aborted ? failureAt(request, socketPath, 'it does not answer', 'restart it') : error
    })
    return parseJson(bytes, `${socketPath} ${path}`)
  }
  const getObject = async (path: string, signal?: AbortSignal): Promise<Record<string, unknown>> => {
    const value = await getJson(path, signal)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  }

  return {
    async ping(signal) {
      await getObject('/version', signal)
    },

    async inspect(name, signal) {
      const path = `/images/${name}/json`
      try {
        return inspected(await getObject(path, signal), `${socketPath} ${path}`)
      } catch (error) {
        if (error instanceof BaleError && error.cause instanceof Refusal && error.cause.status === 404) return undefined
        throw error
      }
    },

    async history(id, signal) {
      const path = `/images/${id}/history`
      const value = await getJson(path, signal)
      const isEntry = (entry: unknown): entry is Record<string, unknown> => typeof entry === 'object' && entry !== null
      if (Array.isArray(value) && value.every(isEntry)) return value
      throw new BaleError('daemon', 'the answer is not a list', { where: `${socketPath} ${path}` })
    },

    save: (name, signal) => exchange({ method: 'GET', path: `/images/${name}/get` }, signal),

    async load(archive, signal) {
      const request = { method: 'POST', path: '/images/load?quiet=1', body: archive } as const
      // The daemon answers 200 before it reads the archive. It reports errors in the body of the answer (O06).
      for await (const line of lines(exchange(request, signal))) {
        const words = errorIn(line)
        if (words !== undefined) throw failureAt(request, socketPath, `it rejects the image: ${words}`)
      }
    },

    async keepsChains(signal) {
      const [version, info] = await Promise.all([getObject('/version', signal), getObject('/info', signal)])
      const components = Array.isArray(version.Components) ? (version.Components as ({ Name?: unknown } | null)[]) : []
      const isDocker = components.some(c => c?.Name === 'Engine')
      const storage = JSON.stringify(info.DriverStatus ?? [])
      return isDocker && !storage.includes('io.containerd.snapshotter')
    },
  }
}

interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: AsyncIterable<Uint8Array>
}

/** An answer other than success. */
class Refusal extends Error {
  readonly status: number
  readonly words: string

  constructor(status: number, words: string) {
    super(`${status}: ${words}`)
    this.status = status
    this.words = words
  }
}

function failureOf(error: unknown, request: Request, socketPath: string): BaleError {
  if (error instanceof BaleError) return error
  if (error instanceof Refusal) {
    return failureAt(
      request,
      socketPath,
      `it answered ${error.status}${error.words && `: ${error.words}`}`,
      undefined,
      error,
    )
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const [words, fix] = reasons[code] ?? [
    `the connection failed: ${escaped(error instanceof Error ? error.message : String(error))}`,
  ]
  return failureAt(request, socketPath, words, fix, error)
}

const start =
  'start it (systemctl start docker, or systemctl --user start podman.socket), or store the image without a daemon'
const reasons: Record<string, [words: string, fix?: string]> = {
  ENOENT: ['no daemon listens there', start],
  ENOTDIR: ['no daemon listens there', start],
  ECONNREFUSED: ['the daemon no longer listens there', start],
  ENOTSOCK: ['it is not a socket', 'give the path of the daemon’s socket'],
  EACCES: [
    'this user has no permission to use the daemon',
    'add the user to the group docker, or store the image without a daemon',
  ],
  EPERM: [
    'this user has no permission to use the daemon',
    'add the user to the group docker, or store the image without a daemon',
  ],
  UND_ERR_SOCKET: ['it closed the connection', 'look into its log'],
  ECONNRESET: ['it closed the connection', 'look into its log'],
  EPIPE: ['it closed the connection', 'look into its log'],
}

function failureAt(request: Request, socketPath: string, words: string, fix?: string, cause?: unknown): BaleError {
  const where = `daemon ${socketPath}: ${request.method} ${escaped(request.path)}`
  return new BaleError('daemon', words, { where, cause, fix })
}

/** Docker answers `{"message": …}`, Podman adds a `cause`. */
function wordsOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8').trim()
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? escaped(message, 1000) : ''
  } catch {
    return escaped(text, 300)
  }
}

/** The error in a line of the progress that `load` reports. */
function errorIn(line: string): string | undefined {
  try {
    const { error, errorDetail } = JSON.parse(line) as { error?: unknown; errorDetail?: { message?: unknown } }
    const words = errorDetail?.message ?? error
    return typeof words === 'string' && words !== '' ? escaped(words, 1000) : undefined
  } catch {
    return undefined
  }
}

function inspected(inspect: Record<string, unknown>, where: string): InspectedImage {
  const { Id: id, RootFS: rootfs } = inspect
  const whole = typeof id === 'string' && !id.startsWith('sha256:') ? `sha256:${id}` : id
  const { Layers: diffIds = [] } = (rootfs ?? {}) as { Layers?: unknown }
  if (!isDigest(whole) || !Array.isArray(diffIds) || !diffIds.every(d => typeof d === 'string')) {
    throw new BaleError('daemon', 'the answer has no Id, or no RootFS.Layers', { where })
  }
  return { id: whole, diffIds, inspect }
}

async function readAll(bytes: AsyncIterable<Uint8Array>, most: number, beyond: 'cut' | 'fail'): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bytes) {
    chunks.push(chunk)
    size += chunk.length
    if (size <= most) continue
    if (beyond === 'cut') break
    throw new BaleError('daemon', `the answer has more than ${most} bytes`)
  }
  return Buffer.concat(chunks).subarray(0, most)
}

/** The lines of a text; a line beyond `maxWords` is cut. */
async function* lines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = (parts.pop() as string).slice(0, maxWords)
    yield* parts
  }
  yield rest
}
