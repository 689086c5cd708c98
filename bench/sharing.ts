import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { chunkedCache } from '../lifecycle/caches/chunks/cache.ts'
import { layerSource } from '../lifecycle/layers/tree/pack.ts'
import { memoryStorage } from '../test/helpers/memory-storage.ts'
import type { Bench } from './bench.ts'
import { type Row, progress, quote, shell } from './measure.ts'

/** The dependencies that all apps of a team share: four fifths of each app's, by number. */
const common = [
  ...['axios', 'commander', 'compression', 'cors', 'date-fns', 'dotenv', 'express', 'helmet', 'ioredis'],
  ...['jsonwebtoken', 'lodash', 'nanoid', 'pg', 'pino', 'uuid', 'zod'],
]
/** The rest, by app. */
const own = [
  ['fastify', 'mongoose', 'handlebars', 'archiver'],
  ['koa', 'sequelize', 'ejs', 'csv-parse'],
  ['@hapi/hapi', 'knex', 'pug', 'xml2js'],
  ['socket.io', 'mysql2', 'marked', 'jszip'],
  ['ws', 'bullmq', 'cheerio', 'qrcode'],
  ['winston', 'nodemailer', 'graphql', 'pdfkit'],
  ['passport', 'multer', 'ajv', 'luxon'],
  ['yup', 'joi', 'dayjs', 'rxjs'],
  ['ramda', 'immer', 'got', 'superagent'],
  ['moment', 'undici', 'morgan', 'cookie-parser'],
]

/** Counts the bytes that ten Node.js apps of one team write into separate caches, and into a shared one. */
export async function sharingRows(bench: Bench): Promise<Row[]> {
  const piece = 'sharing'
  const apps = own.map((dependencies, n) => ({ dir: join(bench.dir, `team-${n}`), dependencies }))
  for (const [n, { dir, dependencies }] of apps.entries()) {
    progress(`${piece}: npm installs app ${n + 1} of ${apps.length}`)
    await makeApp(dir, dependencies)
  }
  const dirs = apps.map(({ dir }) => dir)
  const modules = await modulesOf(dirs)
  const least = leastOf(dirs)
  return [
    row('node_modules alone', modules, 30),
    row('least: files of each package and version once, uncompressed', least),
    row('all that the builds keep, Node.js itself included', await buildsOf(bench, dirs), 30),
  ]
}

interface Moved {
  readonly shared: number
  readonly separate: number
}

function row(name: string, { shared, separate }: Moved, target?: number): Row {
  const percent = (100 * shared) / separate
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  return {
    piece: 'sharing',
    name: `ten apps, one cache: ${name}`,
    count: Number(percent.toFixed(1)),
    note: `% of ten separate caches: ${megabytes(shared)} of ${megabytes(separate)}`,
    ...(target !== undefined && { target, met: percent <= target }),
  }
}

async function makeApp(dir: string, dependencies: readonly string[]): Promise<void> {
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'app', private: true, scripts: { start: 'node .' } }))
  writeFileSync(
    join(dir, 'index.js'),
    "require('node:http').createServer((_, r) => r.end('hello')).listen(process.env.PORT)\n",
  )
  await shell(`npm install --no-audit --no-fund --silent ${[...common, ...dependencies].map(quote).join(' ')}`, dir)
}

async function modulesOf(dirs: readonly string[]): Promise<Moved> {
  const shared = memoryStorage()
  let separate = 0
  for (const [n, dir] of dirs.entries()) {
    const alone = memoryStorage()
    const imagePath = '/layers/bale_nodejs/modules/node_modules'
    for (const storage of [alone, shared]) {
      await using writer = await chunkedCache(storage, `app-${n}`).begin()
      const tree = { kind: 'tree', hostPath: join(dir, 'node_modules'), imagePath, uid: 1000, gid: 1000 } as const
      const { diffId } = await writer.put(layerSource('dependencies', [tree]))
      const layers = { modules: { sha: diffId, data: {}, build: false, launch: false, cache: true } }
      await writer.commit({ buildpacks: [{ key: 'bale/nodejs', version: '1.0.0', layers }] })
    }
    separate += alone.moved.put
  }
  return { shared: shared.moved.put, separate }
}

/** The lowest possible size of a cache, before compression. */
function leastOf(dirs: readonly string[]): Moved {
  const packages = new Map<string, number>()
  let separate = 0
  for (const dir of dirs) {
    const lock = JSON.parse(readFileSync(join(dir, 'package-lock.json'), 'utf8')) as Lock
    for (const [path, { version = '' }] of Object.entries(lock.packages).filter(([path]) => path !== '')) {
      if (!existsSync(join(dir, path))) continue // an optional one of another platform
      const bytes = bytesOf(join(dir, path))
      packages.set(`${path.replace(/^.*node_modules\//, '')} ${version}`, bytes)
      separate += bytes
    }
  }
  return { shared: [...packages.values()].reduce((sum, bytes) => sum + bytes, 0), separate }
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string }>>
}

/** Of a package's own files. */
function bytesOf(dir: string): number {
  let sum = 0
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isFile()) sum += statSync(path).size
    else if (entry.isDirectory() && entry.name !== 'node_modules') sum += bytesOf(path)
  }
  return sum
}

/** Builds each app on a machine without caches. Each build writes both kinds of caches over HTTP. */
async function buildsOf({ dir, root }: Bench, apps: readonly string[]): Promise<Moved> {
  const moved = { shared: 0, separate: 0 }
  const server = await startStorage(
    (path, bytes) => (moved[path.startsWith('/shared/') ? 'shared' : 'separate'] += bytes),
  )
  const { port } = server.address() as AddressInfo
  try {
    for (const [n, app] of apps.entries()) {
      progress(`sharing: builds app ${n + 1} of ${apps.length}`)
      rmSync(join(app, 'node_modules'), { recursive: true })
      const caches = [`shared`, `own-${n}`].map(name => `--cache-to type=http,url=http://127.0.0.1:${port}/${name}/`)
      const build = `bin/bale build ${quote(`oci-archive:${join(dir, `team-${n}.tar`)}`)} --path ${quote(app)} --quiet`
      await shell(`XDG_CACHE_HOME=${quote(join(dir, `cache-${n}`))} ${build} ${caches.join(' ')}`, root)
    }
  } finally {
    server.close()
  }
  return moved
}

/** GET, HEAD and PUT of objects, as WebDAV servers have them. */
async function startStorage(onPut: (path: string, bytes: number) => void): Promise<Server> {
  const objects = new Map<string, Buffer>()
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (request.method !== 'PUT') {
      const found = objects.get(path)
      response.writeHead(found === undefined ? 404 : 200, { 'content-length': found?.length ?? 0 })
      return void response.end(request.method === 'HEAD' ? undefined : found)
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      objects.set(path, body)
      onPut(path, body.length)
      response.writeHead(201).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
