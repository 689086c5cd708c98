import { createHash } from 'node:crypto'
import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'
import type { OnTransfer } from '../store.ts'
import { transfer } from '../transfer.ts'
import type { Registry } from './client.ts'
import { failureAt } from './failures.ts'
import type { Reply } from './reply.ts'
import { Transient, forgiving, pause, retrying } from './retry.ts'
import { readAll } from './http.ts'

/** A blob of a repository with the digest and size from a manifest. */
export interface Blob {
  readonly repository: string
  readonly digest: Digest
  readonly size: number
}

/**
 * The bytes of a blob as they arrive. After a broken connection the download continues where it stopped (RFC 9110, section
 * 14.2). Wrong bytes are an error at the end at the latest, so a caller that reads to the end has the right ones.
 */
export async function* openBlob(
  registry: Registry,
  blob: Blob,
  { onTransfer, signal }: { onTransfer?: OnTransfer; signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array> {
  const download = new Download(registry, blob, signal)
  const progress = transfer(onTransfer, blob.digest, blob.size)
  let [faults, doneAtFault] = [0, 0]
  while (!download.complete) {
    try {
      for await (const chunk of download.part()) {
        progress(chunk.length)
        yield chunk
      }
    } catch (error) {
      if (!(error instanceof Transient)) throw error
      if (download.done - doneAtFault >= forgiving) faults = 0
      doneAtFault = download.done
      if (++faults >= registry.limits.attempts) throw error.failure
      await pause(faults, error, registry.limits, signal)
    }
  }
  download.verify()
}

/** The whole of a small blob, verified. */
export async function readBlob(registry: Registry, blob: Blob, limit: number, signal?: AbortSignal): Promise<Buffer> {
  if (blob.size > limit) {
    throw new BaleError('registry', `${blob.digest} has ${blob.size} bytes, more than the limit of ${limit}`, {
      where: `${registry.host}/${blob.repository}`,
    })
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of openBlob(registry, blob, { signal })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The state of a download over several connections. */
class Download {
  done = 0
  complete = false
  readonly #registry: Registry
  readonly #blob: Blob
  readonly #signal: AbortSignal | undefined
  readonly #path: string
  readonly #hash = createHash('sha256')
  #ranges = true

  constructor(registry: Registry, blob: Blob, signal: AbortSignal | undefined) {
    this.#registry = registry
    this.#blob = blob
    this.#signal = signal
    this.#path = `/v2/${blob.repository}/blobs/${blob.digest}`
  }

  /** Yields missing bytes until the connection ends. @throws Transient if it ends early */
  async *part(): AsyncGenerator<Uint8Array> {
    const { size } = this.#blob
    const reply = await this.#request()
    // The registry sent another range, or none. Download the whole blob instead.
    if (reply.status === 416 || (reply.status === 206 && !startsAt(reply, this.done, size))) {
      this.#ranges = false
      await reply.discard()
      return
    }
    checkEncoding(reply)
    checkLength(reply, size)
    // A registry may ignore the range and start from the beginning (R22).
    let skip = reply.status === 206 ? 0 : this.done
    for await (const chunk of reply.body()) {
      const fresh = chunk.subarray(Math.min(skip, chunk.length))
      skip -= chunk.length - fresh.length
      if (fresh.length === 0) continue
      this.done += fresh.length
      if (this.done > size) throw failureAt(reply, `the blob is longer than the ${size} bytes that the manifest says`)
      this.#hash.update(fresh)
      yield fresh
    }
    if (this.done < size) throw new Transient(failureAt(reply, `the blob ended after ${this.done} of ${size} bytes`))
    this.complete = true
  }

  verify(): void {
    const { digest } = this.#blob
    const actual = `sha256:${this.#hash.digest('hex')}`
    if (actual === digest) return
    throw new BaleError('registry', `the bytes of ${digest} have the digest ${actual}`, {
      where: `GET ${this.#registry.host}${this.#path}`,
      fix: 'push the image again: the registry, or a proxy, has changed this blob',
    })
  }

  #request(): Promise<Reply> {
    const resumes = this.done > 0 && this.#ranges
    return this.#registry.call({
      method: 'GET',
      url: this.#path,
      access: { repository: this.#blob.repository, action: 'pull' },
      accept: resumes ? [200, 206, 416] : [200],
      headers: resumes ? { range: `bytes=${this.done}-` } : {},
      signal: this.#signal,
    })
  }
}

/** Whether the answer has the requested range. */
function startsAt(reply: Reply, from: number, size: number): boolean {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(reply.header('content-range')[0] ?? '') ?? []
  return Number(start) === from && (total === '*' || Number(total) === size)
}

/** Compares the length of a whole answer before any byte is read. */
function checkLength(reply: Reply, size: number): void {
  const length = reply.header('content-length')[0]
  if (reply.status === 200 && length !== undefined && Number(length) !== size) {
    throw failureAt(reply, `the blob has ${length} bytes, but the manifest says ${size}`)
  }
}

/** Digests cover the stored bytes, so a content encoding is an error (R06). */
function checkEncoding(reply: Reply): void {
  const encoding = reply.header('content-encoding').join(', ')
  if (encoding === '' || encoding === 'identity') return
  const shown = JSON.stringify(encoding.slice(0, 100))
  throw failureAt(reply, `the answer has the Content-Encoding ${shown}, but none was accepted`)
}

export interface Document {
  readonly bytes: Buffer
  /** The Content-Type without parameters; empty if there is none. */
  readonly contentType: string
  readonly reply: Reply
}

/** Reads a manifest or an index; undefined if the name does not exist. The caller verifies the digest. */
export async function downloadManifest(
  registry: Registry,
  repository: string,
  reference: string,
  types: readonly string[],
  signal?: AbortSignal,
): Promise<Document | undefined> {
  const read = async (): Promise<Document | undefined> => {
    const reply = await registry.call({
      method: 'GET',
      url: `/v2/${repository}/manifests/${reference}`,
      access: { repository, action: 'pull' },
      accept: [200, 404],
      headers: { accept: types.join(', ') },
      once: true,
      signal,
    })
    if (reply.status === 404) {
      await reply.discard()
      return undefined
    }
    checkEncoding(reply)
    const [contentType = ''] = (reply.header('content-type')[0] ?? '').split(';', 1)
    const bytes = await readAll(reply, registry.limits.manifest)
    return { bytes, contentType: contentType.trim().toLowerCase(), reply }
  }
  // A repeated attempt reads the whole document.
  return retrying(read, registry.limits, signal)
}
