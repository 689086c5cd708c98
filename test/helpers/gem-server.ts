import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bale } from './bale.ts'
import { type Tree, writeTree } from './tree.ts'

/** A gem as a repository has it. */
interface Gem {
  readonly name: string
  readonly version: string
  /** Names and requirements: `[['rack', ['>= 3.0.0', '< 4']]]`. */
  readonly dependencies: readonly (readonly [string, readonly string[]])[]
  readonly ruby: string
  readonly sha256: string
  /** In base64. */
  readonly bytes: string
}

/**
 * Makes gems with the real RubyGems, in an image: of Debian's packages, which have what RubyGems has, and of sources.
 * @param packages Debian packages, with all that they depend on
 * @param sources directories by name, each with a gemspec
 */
export async function makeGems(packages: readonly string[], sources: Tree = {}): Promise<Gem[]> {
  const dir = await mkdtemp(join(tmpdir(), 'bale-gems-'))
  await cp(join(import.meta.dirname, 'gems'), dir, { recursive: true })
  const below = Object.fromEntries(Object.entries(sources).map(([path, entry]) => [`sources/${path}`, entry]))
  const layer = '/layers/bale_apt/packages'
  await writeTree(dir, {
    Aptfile: `${packages.join('\n')}\n`,
    Procfile: `web: ruby make-gems.rb ${layer}\n`,
    ...below,
  })
  const image = 'bale-test-gems'
  const built = await bale(['build', image, '--path', dir])
  await rm(dir, { recursive: true })
  if (built.code !== 0) throw new Error(built.output)
  const ran = await bale(['run', image])
  const gems = ran.stdout.split('\n').filter(line => line.startsWith('{'))
  if (ran.code !== 0 || gems.length === 0) throw new Error(ran.output)
  return gems.map(line => JSON.parse(line) as Gem)
}

export interface GemServer extends AsyncDisposable {
  readonly url: string
  /** Requested paths. */
  readonly requests: string[]
}

/** Serves gems on loopback, to those who have the login if there is one, with the compact index (guides.rubygems.org, "Compact index API"), which Bundler reads. */
export async function serveGems(gems: readonly Gem[], login?: string): Promise<GemServer> {
  const files = new Map<string, Buffer>()
  const names = [...new Set(gems.map(({ name }) => name))].toSorted()
  const lines: string[] = []
  for (const name of names) {
    const own = gems.filter(gem => gem.name === name)
    const info = Buffer.from(`---\n${own.map(infoLine).join('\n')}\n`)
    files.set(`/info/${name}`, info)
    lines.push(`${name} ${own.map(({ version }) => version).join(',')} ${createHash('md5').update(info).digest('hex')}`)
  }
  files.set('/versions', Buffer.from(`created_at: 2025-01-01T00:00:00Z\n---\n${lines.join('\n')}\n`))
  files.set('/names', Buffer.from(`---\n${names.join('\n')}\n`))
  for (const { name, version, bytes } of gems) files.set(`/gems/${name}-${version}.gem`, Buffer.from(bytes, 'base64'))
  const requests: string[] = []
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    requests.push(pathname)
    const known = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`
    if (request.headers.authorization !== known) return void response.writeHead(401).end()
    const found = files.get(pathname)
    if (found === undefined) return void response.writeHead(404).end()
    response.setHeader('etag', `"${createHash('md5').update(found).digest('hex')}"`)
    response.end(found)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      await new Promise<void>(done => void server.close(() => done()).closeAllConnections())
    },
  }
}

/** `4.1.1 rack:< 4&>= 3.0.0,tilt:~> 2.0|checksum:…,ruby:>= 2.7.8` */
function infoLine({ version, dependencies, sha256, ruby }: Gem): string {
  const needs = dependencies.map(([name, requirements]) => `${name}:${requirements.join('&')}`)
  return `${version} ${needs.join(',')}|checksum:${sha256},ruby:${ruby.split(', ').join('&')}`
}
