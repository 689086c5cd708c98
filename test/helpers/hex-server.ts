import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { tarOf } from './images.ts'

/** A package as its author writes it. */
export interface HexPackage {
  readonly name: string
  readonly version: string
  /** What compiles it: `mix`, `rebar3`. */
  readonly buildTool: string
  readonly files: Readonly<Record<string, string>>
  /** Requirements by the names of packages of the same repository. */
  readonly requirements?: Readonly<Record<string, string>>
}

export interface HexServer extends AsyncDisposable {
  readonly url: string
  /** Requested paths. */
  readonly requests: string[]
  /** Hex's own configuration for it, as `mix hex.repo add` writes it. */
  readonly config: string
  /** The text of mix.lock that fixes all of them. */
  readonly lock: string
}

/**
 * Serves packages on loopback as a repository of Hex does (hex.pm, "Registry format", "Package tarball"). Signs entries with a new
 * key, and requires `authKey` from clients.
 * @param authKey what a client has to send
 */
export async function serveHex(
  repository: string,
  packages: readonly HexPackage[],
  authKey: string,
): Promise<HexServer> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const files = new Map<string, Buffer>()
  const lines: string[] = []
  for (const each of packages) {
    const { tarball, inner } = await pack(each)
    files.set(`/tarballs/${each.name}-${each.version}.tar`, tarball)
    const requirements = Object.entries(each.requirements ?? {})
    const dependencies = requirements.map(([name, text]) =>
      field(3, message(field(1, name), field(2, text), field(5, repository))),
    )
    const outer = createHash('sha256').update(tarball).digest()
    const needs = requirements.map(
      ([name, text]) => `{:${name}, "${text}", [hex: :${name}, repo: "${repository}", optional: false]}`,
    )
    const { name, version, buildTool } = each
    const sums = [inner, outer].map(sum => sum.toString('hex'))
    lines.push(
      `  "${name}": {:hex, :${name}, "${version}", "${sums[0]}", [:${buildTool}], [${needs.join(', ')}], "${repository}", "${sums[1]}"},`,
    )
    const release = message(field(1, each.version), field(2, inner), ...dependencies, field(5, outer))
    const payload = message(field(1, release), field(2, each.name), field(3, repository))
    const signature = sign('sha512', payload, privateKey)
    files.set(`/packages/${each.name}`, gzipSync(message(field(1, payload), field(2, signature))))
  }
  const requests: string[] = []
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    requests.push(pathname)
    const found = files.get(pathname)
    if (request.headers.authorization !== authKey) response.writeHead(401).end()
    else if (found === undefined) response.writeHead(404).end()
    else response.end(found)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString().replaceAll('\n', '\\n')
  const entry = `url => <<"${url}">>, public_key => <<"${pem}">>, auth_key => <<"${authKey}">>`
  return {
    url,
    requests,
    lock: `%{\n${lines.toSorted().join('\n')}\n}\n`,
    config: `{'$repos', #{<<"${repository}">> => #{${entry}}}}.\n`,
    async [Symbol.asyncDispose]() {
      await new Promise<void>(done => void server.close(() => done()).closeAllConnections())
    },
  }
}

/** A tar of the format version, the contents, their metadata, and a digest of these three. */
async function pack({ name, version, buildTool, files, requirements = {} }: HexPackage) {
  const text = (value: string) => `<<"${value}">>`
  const needs = Object.entries(requirements).map(
    ([need, range]) =>
      `[{<<"name">>,${text(need)}},{<<"app">>,${text(need)}},{<<"optional">>,false},{<<"requirement">>,${text(range)}}]`,
  )
  const metadata = [
    `{<<"name">>,${text(name)}}.`,
    `{<<"app">>,${text(name)}}.`,
    `{<<"version">>,${text(version)}}.`,
    `{<<"build_tools">>,[${text(buildTool)}]}.`,
    `{<<"files">>,[${Object.keys(files).map(text).join(',')}]}.`,
    `{<<"requirements">>,[${needs.join(',')}]}.`,
  ].join('\n')
  const contents = gzipSync(await tarOf(files))
  const inner = createHash('sha256').update('3').update(metadata).update(contents).digest()
  const checksum = inner.toString('hex').toUpperCase()
  const tar = await tarOf({
    VERSION: '3',
    CHECKSUM: checksum,
    'metadata.config': metadata,
    'contents.tar.gz': contents,
  })
  return { tarball: Buffer.from(tar), inner }
}

/** A field of Protocol Buffers that holds bytes. */
function field(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array)
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes])
}

const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields)

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) return Buffer.from(bytes)
  }
}
