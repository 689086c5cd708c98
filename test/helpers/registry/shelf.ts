import type { IncomingHttpHeaders } from 'node:http'
import { digestOf, isDigest } from '../../../lifecycle/image/digest.ts'

export interface Recorded {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  body: Buffer
}

export interface Answer {
  status: number
  headers?: Record<string, string | string[]>
  body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

/** The error format of the distribution spec ("Error Codes"). */
export function errorAnswer(status: number, code: string, message: string, headers = {}): Answer {
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] })
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

interface ShelfOptions {
  redirectBlobsTo?: string
  ignoresRange?: boolean
  refusesMounts?: boolean
  deletes?: boolean
}

/** What a registry holds, and what it answers to those who are let in. */
export class Shelf {
  readonly blobs = new Map<string, Buffer>()
  readonly links = new Set<string>()
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>()
  readonly #uploads = new Map<string, Buffer>()
  readonly #options: ShelfOptions
  #count = 0

  constructor(options: ShelfOptions) {
    this.#options = options
  }

  addBlob(repository: string, bytes: Uint8Array): string {
    const digest = digestOf(bytes)
    this.blobs.set(digest, Buffer.from(bytes))
    this.links.add(`${repository}@${digest}`)
    return digest
  }

  addManifest(repository: string, reference: string, type: string, bytes: Buffer): void {
    const manifest = { type, bytes }
    this.manifests.set(`${repository}@${digestOf(bytes)}`, manifest)
    if (!isDigest(reference)) this.manifests.set(`${repository}:${reference}`, manifest)
  }

  answer(request: Recorded): Answer {
    const { pathname } = request.url
    if (pathname === '/v2/') return { status: 200 }
    const [, repository = '', rest = ''] = /^\/v2\/(.+?)\/((?:manifests|blobs|tags)\/.+)$/.exec(pathname) ?? []
    const [kind, ...parts] = rest.split('/')
    if (kind === 'manifests') return this.#manifest(request, repository, parts.join('/'))
    if (kind === 'tags') return this.#tags(repository)
    if (kind === 'blobs' && parts[0] === 'uploads') return this.#upload(request, repository, parts[1] ?? '')
    if (kind === 'blobs') return this.#blob(request, repository, parts.join('/'))
    return errorAnswer(404, 'NOT_FOUND', pathname)
  }

  #manifest({ method, headers, body }: Recorded, repository: string, reference: string): Answer {
    const key = `${repository}${isDigest(reference) ? '@' : ':'}${reference}`
    if (method === 'PUT') {
      const missing = missingParts(body).find(
        p => !this.links.has(`${repository}@${p}`) && !this.manifests.has(`${repository}@${p}`),
      )
      if (missing !== undefined) return errorAnswer(400, 'MANIFEST_BLOB_UNKNOWN', `blob unknown: ${missing}`)
      const digest = digestOf(body)
      if (isDigest(reference) && reference !== digest) return errorAnswer(400, 'DIGEST_INVALID', 'other bytes')
      this.addManifest(repository, reference, headers['content-type'] ?? '', body)
      return {
        status: 201,
        headers: { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest },
      }
    }
    if (method === 'DELETE' && this.#options.deletes === true) {
      if (!this.manifests.has(key)) return errorAnswer(404, 'MANIFEST_UNKNOWN', `manifest unknown: ${reference}`)
      for (const [name, { bytes }] of [...this.manifests])
        if (name.startsWith(repository) && digestOf(bytes) === reference) this.manifests.delete(name)
      return { status: 202 }
    }
    if (method !== 'GET' && method !== 'HEAD') return errorAnswer(405, 'UNSUPPORTED', method)
    const found = this.manifests.get(key)
    if (found === undefined) return errorAnswer(404, 'MANIFEST_UNKNOWN', `manifest unknown: ${reference}`)
    if (!headers.accept?.includes(found.type)) return errorAnswer(404, 'MANIFEST_UNKNOWN', `not as ${headers.accept}`)
    return {
      status: 200,
      headers: { 'content-type': found.type, 'docker-content-digest': digestOf(found.bytes) },
      body: found.bytes,
    }
  }

  #tags(repository: string): Answer {
    const tags = [...this.manifests.keys()].flatMap(k => (k.startsWith(`${repository}:`) ? [k.split(':')[1]] : []))
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: repository, tags }),
    }
  }

  #blob({ method, headers }: Recorded, repository: string, digest: string): Answer {
    const bytes = this.links.has(`${repository}@${digest}`) ? this.blobs.get(digest) : undefined
    if (bytes === undefined) return errorAnswer(404, 'BLOB_UNKNOWN', `blob unknown: ${digest}`)
    if (method !== 'GET' && method !== 'HEAD') return errorAnswer(405, 'UNSUPPORTED', method)
    const about = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest }
    if (this.#options.redirectBlobsTo !== undefined && method === 'GET') {
      return { status: 307, headers: { location: `${this.#options.redirectBlobsTo}/${digest}` } }
    }
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? Number.NaN)
    if (Number.isNaN(from) || this.#options.ignoresRange) return { status: 200, headers: about, body: bytes }
    if (from >= bytes.length) return errorAnswer(416, 'RANGE_INVALID', headers.range ?? '')
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`
    return { status: 206, headers: { ...about, 'content-range': range }, body: bytes.subarray(from) }
  }

  #upload(request: Recorded, repository: string, id: string): Answer {
    const { method, url, headers, body } = request
    if (method === 'POST' && id === '') return this.#start(request, repository)
    const sofar = this.#uploads.get(id)
    if (sofar === undefined) return errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', `blob upload unknown: ${id}`)
    if (method === 'DELETE') {
      this.#uploads.delete(id)
      return { status: 204 }
    }
    const start = /^(\d+)-\d+$/.exec(headers['content-range'] ?? '')?.[1]
    if (start !== undefined && Number(start) !== sofar.length)
      return errorAnswer(416, 'RANGE_INVALID', 'another offset')
    const whole = Buffer.concat([sofar, body])
    this.#uploads.set(id, whole)
    if (method === 'PATCH') return this.#session(202, repository, id)
    if (method === 'GET') return this.#session(204, repository, id)
    if (method !== 'PUT') return errorAnswer(405, 'UNSUPPORTED', method)
    this.#uploads.delete(id)
    const digest = url.searchParams.get('digest')
    if (digest !== digestOf(whole))
      return errorAnswer(400, 'DIGEST_INVALID', `provided digest did not match: ${digest}`)
    return this.#stored(repository, whole)
  }

  /** What came of an upload before its connection broke. */
  takePart({ url, body }: Recorded): void {
    const id = /\/uploads\/([^/]+)$/.exec(url.pathname)?.[1] ?? ''
    const sofar = this.#uploads.get(id)
    if (sofar !== undefined) this.#uploads.set(id, Buffer.concat([sofar, body]))
  }

  forgetUploads(): void {
    this.#uploads.clear()
  }

  #start({ url, body }: Recorded, repository: string): Answer {
    const [mount, from] = [url.searchParams.get('mount'), url.searchParams.get('from')]
    const bytes = mount !== null && this.links.has(`${from}@${mount}`) ? this.blobs.get(mount) : undefined
    if (bytes !== undefined && !this.#options.refusesMounts) return this.#stored(repository, bytes)
    if (url.searchParams.get('digest') === digestOf(body)) return this.#stored(repository, body)
    const id = `upload-${this.#count++}`
    this.#uploads.set(id, Buffer.alloc(0))
    return this.#session(202, repository, id)
  }

  #session(status: number, repository: string, id: string): Answer {
    const end = Math.max(0, (this.#uploads.get(id)?.length ?? 0) - 1)
    // The state in the query must come back as it is: registries keep signed tokens there.
    const location = `/v2/${repository}/blobs/uploads/${id}?_state=a%2Bb~c%3D%3D`
    return { status, headers: { location, range: `0-${end}`, 'docker-upload-uuid': id } }
  }

  #stored(repository: string, bytes: Buffer): Answer {
    const digest = this.addBlob(repository, bytes)
    return { status: 201, headers: { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest } }
  }
}

/** The digests that a manifest or an index names. */
function missingParts(bytes: Buffer): string[] {
  const {
    config,
    layers = [],
    manifests = [],
  } = JSON.parse(bytes.toString()) as Record<'layers' | 'manifests', { digest: string }[] | undefined> & {
    config?: { digest: string }
  }
  return [...(config ? [config] : []), ...layers, ...manifests].map(d => d.digest)
}
