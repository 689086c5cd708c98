import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { zip } from './zip.ts'

/** A package's composer.json with a version, and its files. */
export interface ComposerPackage {
  readonly json: Readonly<Record<string, unknown>> & { readonly name: string; readonly version: string }
  readonly files: Readonly<Record<string, string>>
  /** A tar archive in place of these. */
  readonly tar?: Buffer
}

export interface ComposerRepository extends AsyncDisposable {
  readonly url: string
  /** `127.0.0.1:1234`, by which credentials are kept. */
  readonly host: string
  /** Paths that were requested and served. */
  readonly requests: string[]
}

/**
 * Serves packages on loopback as Composer's repositories do (getcomposer.org, "Repositories", "Composer"): a packages.json, and a zip archive
 * for each.
 * @param password asked for by the name `user`, if there is one
 */
export async function serveComposer(
  packages: readonly ComposerPackage[],
  password?: string,
): Promise<ComposerRepository> {
  const files = new Map<string, Buffer>()
  const requests: string[] = []
  const expected = password && `Basic ${Buffer.from(`user:${password}`).toString('base64')}`
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (expected && request.headers.authorization !== expected) return void response.writeHead(401).end()
    const found = files.get(pathname)
    if (found === undefined) return void response.writeHead(404).end()
    requests.push(pathname)
    response.end(found)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `http://${host}`
  const index: Record<string, Record<string, unknown>> = {}
  for (const { json, files: contents, tar } of packages) {
    const archive = tar ?? zip({ ...contents, 'composer.json': JSON.stringify(json) })
    const type = tar ? 'tar' : 'zip'
    const path = `/dist/${json.name.replace('/', '-')}-${json.version}.${type}`
    files.set(path, archive)
    const shasum = createHash('sha1').update(archive).digest('hex')
    const of = (index[json.name] ??= {})
    of[json.version] = { ...json, dist: { type, url: `${url}${path}`, shasum, reference: shasum } }
  }
  files.set('/packages.json', Buffer.from(JSON.stringify({ packages: index })))
  return {
    url,
    host,
    requests,
    async [Symbol.asyncDispose]() {
      await new Promise<void>(done => void server.close(() => done()).closeAllConnections())
    },
  }
}
