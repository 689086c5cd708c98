import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { bytesOf } from './images.ts'
import { type AuthOptions, Gatekeeper } from './registry/auth.ts'
import { type Answer, type Recorded, Shelf } from './registry/shelf.ts'

export type { Answer, Recorded } from './registry/shelf.ts'
export { errorAnswer } from './registry/shelf.ts'

/** How a request goes wrong. Without `answer` or `edit` the registry does its work as usual. */
export interface Fault {
  /** Given instead of doing any work. */
  answer?: Answer
  /** Changes the true answer, after the work is done. */
  edit?: (answer: Answer) => Answer
  /** Ends the connection: before the body is read, after the work but without an answer, or after so many bytes. */
  reset?: 'before' | 'after' | number
  /** Ends the connection in good order, after so many bytes of the answer's body. */
  truncate?: number
  /** Takes so many bytes of an upload into its session, and resets the connection. */
  cut?: number
  /** The body comes a byte at a time, with so many milliseconds between them. */
  drip?: number
  /** Never answers. */
  hang?: true
}

export interface RegistryOptions {
  auth?: AuthOptions
  /** Serves https with this certificate. */
  tls?: { key: string; cert: string }
  /** Asked for each request, before it is handled; may be replaced while the registry runs. */
  faults?: (request: Recorded) => Fault | undefined
  /** Blobs are to be fetched from this base URL: `<base>/<digest>`. */
  redirectBlobsTo?: string
  /** Answers a Range as if it were not there. */
  ignoresRange?: boolean
  refusesMounts?: boolean
  /** Manifests may be deleted, by their digest. */
  deletes?: boolean
}

export interface FakeRegistry {
  /** `127.0.0.1:1234` */
  readonly host: string
  readonly url: string
  /** Every request, in the order in which they came. */
  readonly requests: Recorded[]
  /** `POST /v2/app/blobs/uploads/`, one for each request: what was done. */
  readonly lines: string[]
  /** What it holds: blobs by digest; which repository has which; manifests by `repository:tag` and `repository@digest`. */
  readonly blobs: Map<string, Buffer>
  readonly links: Set<string>
  readonly manifests: Map<string, { type: string; bytes: Buffer }>
  /** Bytes that were received for blobs. */
  readonly received: number
  faults: ((request: Recorded) => Fault | undefined) | undefined
  /** Has no upload session any more. */
  forgetUploads(): void
  /** Takes none of the tokens that it has given out. */
  expireTokens(): void
  addBlob(repository: string, bytes: Uint8Array): string
  addManifest(repository: string, tag: string, type: string, content: unknown): string
  close(): Promise<void>
}

/** A registry in this process that speaks the distribution spec, on a port of its own, and can misbehave. */
export async function startRegistry(options: RegistryOptions = {}): Promise<FakeRegistry> {
  const sockets = new Set<Socket>()
  const requests: Recorded[] = []
  const shelf = new Shelf(options)
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error))
  }
  const server = options.tls ? createHttpsServer(options.tls, listener) : createHttpServer(listener)
  // Keeps the port open for requests whose time to think is longer than the default of five seconds.
  server.keepAliveTimeout = 60_000
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}) // a client may hang up at any time
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `${options.tls ? 'https' : 'http'}://${host}`
  const gate = options.auth && new Gatekeeper(options.auth, url)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded: Recorded = {
      method: request.method ?? '',
      url: new URL(request.url ?? '', url),
      headers: request.headers,
      body: Buffer.alloc(0),
    }
    requests.push(recorded)
    const fault = registry.faults?.(recorded) ?? {}
    if (fault.hang) return
    if (fault.reset === 'before') return void request.socket.resetAndDestroy()
    if (fault.answer) {
      // A registry may refuse a request before it has received the whole body.
      if (fault.answer.status < 400) recorded.body = await bytesOf(request)
      return deliver(response, fault.answer, fault)
    }
    // A registry looks at the token before it reads what it is sent.
    const refusal = gate?.refusal(recorded)
    if (refusal) return deliver(response, refusal, fault)
    if (fault.cut !== undefined) {
      recorded.body = await startOf(request, fault.cut)
      shelf.takePart(recorded)
      return void request.socket.resetAndDestroy()
    }
    recorded.body = await bytesOf(request)
    const answer = gate?.token(recorded) ?? shelf.answer(recorded)
    if (fault.reset === 'after') return void request.socket.resetAndDestroy()
    await deliver(response, fault.edit ? fault.edit(answer) : answer, fault)
  }

  const registry: FakeRegistry = {
    host,
    url,
    requests,
    get lines() {
      return requests.map(r => `${r.method} ${r.url.pathname}`)
    },
    blobs: shelf.blobs,
    links: shelf.links,
    manifests: shelf.manifests,
    get received() {
      return requests.filter(r => r.url.pathname.includes('/uploads/')).reduce((sum, r) => sum + r.body.length, 0)
    },
    faults: options.faults,
    forgetUploads: () => shelf.forgetUploads(),
    expireTokens: () => gate?.expire(),
    addBlob: (repository, bytes) => shelf.addBlob(repository, bytes),
    addManifest: (repository, tag, type, content) => {
      const bytes = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
      shelf.addManifest(repository, tag, type, bytes)
      return digestOf(bytes)
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return registry
}

/** The first bytes of a body, as many as that or as there are. */
function startOf(request: IncomingMessage, size: number): Promise<Buffer> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let came = 0
    const done = () => {
      request.pause()
      resolve(Buffer.concat(chunks).subarray(0, size))
    }
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      came += chunk.length
      if (came >= size) done()
    })
    request.once('end', done).once('close', done)
  })
}

async function deliver(response: ServerResponse, answer: Answer, fault: Fault): Promise<void> {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : (answer.body ?? Buffer.alloc(0))
  const headers = Object.fromEntries(Object.entries(answer.headers ?? {}).map(([k, v]) => [k.toLowerCase(), v]))
  if (body instanceof Uint8Array && headers['content-length'] === undefined && !headers['transfer-encoding']) {
    headers['content-length'] = String(body.length)
  }
  response.on('error', () => {})
  response.writeHead(answer.status, headers)
  response.flushHeaders()
  if (response.req.method === 'HEAD') return void response.end()
  if (typeof fault.reset === 'number' && body instanceof Uint8Array) {
    return void response.write(body.subarray(0, fault.reset), () => response.socket?.resetAndDestroy())
  }
  if (fault.truncate !== undefined && body instanceof Uint8Array) {
    return void response.write(body.subarray(0, fault.truncate), () => response.socket?.end())
  }
  if (fault.drip !== undefined && body instanceof Uint8Array) {
    for (const byte of body) {
      if (response.destroyed) return
      response.write(Uint8Array.of(byte))
      await new Promise(resolve => setTimeout(resolve, fault.drip))
    }
  } else if (body instanceof Uint8Array) {
    response.write(body)
  } else {
    for await (const chunk of body) {
      if (response.destroyed) return
      if (!response.write(chunk)) await drained(response)
    }
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
