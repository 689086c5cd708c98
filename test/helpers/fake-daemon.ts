import { once } from 'node:events'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { extract } from 'tar-stream'
import type { ImageConfig } from '../../lifecycle/image/config.ts'
import { type Digest, digestOf, hexOf } from '../../lifecycle/image/digest.ts'
import { tarFrom } from './archives.ts'
import { bytesOf } from './images.ts'
import { temporaryDirectory } from './temporary.ts'

interface StoredImage {
  readonly id: Digest
  readonly config: Buffer
  readonly diffIds: readonly Digest[]
}

/** A fault that a test adds: answers the request itself, or returns false so that the daemon answers. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => boolean

/**
 * A Docker daemon as far as image stores see one, in this process. Like Docker it keeps layers by the chain of their
 * diffIDs, looks for a chain before it opens a layer's file, and checks the diffID of each that it opens.
 */
export class FakeDaemon {
  readonly socketPath: string
  /** The requests so far, and for loads the bytes of layers that came. */
  readonly requests: string[] = []
  readonly loaded: number[] = []
  misbehave: Misbehaviour = () => false
  engine = 'Engine'
  readonly #images = new Map<string, StoredImage>()
  readonly #chains = new Map<string, Buffer>()
  readonly #server: Server

  private constructor(socketPath: string) {
    this.socketPath = socketPath
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  static async start(): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(join(await temporaryDirectory(), 'docker.sock'))
    daemon.#server.listen(daemon.socketPath)
    await once(daemon.#server, 'listening')
    onTestFinished(() => {
      daemon.#server.closeAllConnections()
      daemon.#server.close()
    })
    return daemon
  }

  /** As `docker image rm` and `docker image prune` do. */
  removeImages(): void {
    this.#images.clear()
    this.#chains.clear()
  }

  has(name: string): boolean {
    return this.#images.has(name)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '' } = request
    this.requests.push(`${method} ${url}`)
    if (this.misbehave(request, response)) return
    const [, name = '', verb] = /^\/images\/(.+)\/(json|get|history)$/.exec(url) ?? []
    if (url === '/version') return json(response, 200, { Components: [{ Name: this.engine }] })
    if (url === '/info') return json(response, 200, { DriverStatus: [['Backing Filesystem', 'extfs']] })
    if (method === 'POST' && url.startsWith('/images/load')) return this.#load(request, response)
    const image = this.#images.get(name)
    if (image === undefined) return json(response, 404, { message: `No such image: ${name}` })
    if (verb === 'json') return json(response, 200, inspectOf(image))
    if (verb === 'history') return json(response, 200, this.#historyOf(image))
    response.end(await this.#save(image))
  }

  #historyOf({ config, diffIds }: StoredImage): unknown[] {
    const { history = [] } = JSON.parse(String(config)) as ImageConfig
    const entries = history.map((entry, i) => ({
      Created: Date.parse(entry.created ?? '0001-01-01T00:00:00Z') / 1000,
      CreatedBy: entry.created_by ?? '',
      Comment: '',
      Size: entry.empty_layer === true ? 0 : this.#chains.get(chain(diffIds, i))?.length,
    }))
    return entries.reverse()
  }

  async #save({ id, config, diffIds }: StoredImage): Promise<Buffer> {
    const layers = diffIds.map((_, i) => [`${i}/layer.tar`, this.#chains.get(chain(diffIds, i)) as Buffer] as const)
    const manifest = [{ Config: `${hexOf(id)}.json`, RepoTags: null, Layers: layers.map(([path]) => path) }]
    return tarFrom({
      ...Object.fromEntries(layers),
      [`${hexOf(id)}.json`]: config,
      'manifest.json': JSON.stringify(manifest),
    })
  }

  async #load(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const files = new Map<string, Buffer>()
    const reader = request.pipe(extract())
    for await (const entry of reader) {
      files.set(entry.header.name, await bytesOf(entry as unknown as AsyncIterable<Uint8Array>))
    }
    const [image] = JSON.parse(String(files.get('manifest.json'))) as {
      Config: string
      RepoTags: string[]
      Layers: string[]
    }[]
    const config = files.get(image!.Config) as Buffer
    const diffIds = (JSON.parse(String(config)) as { rootfs: { diff_ids: Digest[] } }).rootfs.diff_ids
    this.loaded.push(image!.Layers.reduce((sum, path) => sum + (files.get(path)?.length ?? 0), 0))
    for (const [i, diffId] of diffIds.entries()) {
      if (this.#chains.has(chain(diffIds, i))) continue
      const layer = files.get(image!.Layers[i] as string) as Buffer
      // Docker answers 200 before it knows whether it succeeds.
      if (digestOf(layer) !== diffId)
        return json(response, 200, { errorDetail: { message: `invalid diffID for layer ${i}` } })
      this.#chains.set(chain(diffIds, i), layer)
    }
    const stored = { id: digestOf(config), config, diffIds }
    for (const name of [stored.id, ...(image!.RepoTags ?? [])]) this.#images.set(name, stored)
    json(response, 200, { stream: 'Loaded image' })
  }
}

/** As Docker says it, with keys of containers and empty texts. */
function inspectOf({ id, config, diffIds }: StoredImage): unknown {
  const { architecture, os, variant, created, author, config: container } = JSON.parse(String(config)) as ImageConfig
  return {
    ...{ Id: id, RepoTags: [], Created: created ?? '', Author: author ?? '', Os: os, Architecture: architecture },
    ...(variant !== undefined && { Variant: variant }),
    Config: { Hostname: '', AttachStdin: false, Image: '', Volumes: null, OnBuild: null, User: '', ...container },
    RootFS: { Type: 'layers', Layers: diffIds },
  }
}

const chain = (diffIds: readonly Digest[], last: number): string => diffIds.slice(0, last + 1).join()

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`)
}
