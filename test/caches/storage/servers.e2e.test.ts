import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { chunkedCache } from '../../../lifecycle/caches/chunks/cache.ts'
import { httpStorage } from '../../../lifecycle/caches/storage/http.ts'
import { redisStorage } from '../../../lifecycle/caches/storage/redis.ts'
import { s3Storage } from '../../../lifecycle/caches/storage/s3.ts'
import type { ObjectStorage } from '../../../lifecycle/caches/storage/storage.ts'
import type { BaleError } from '../../../lifecycle/errors.ts'
import { chunkedCacheContract } from '../../contracts/chunked-cache.ts'
import { fill } from '../../contracts/caches.ts'
import {
  type CacheServer,
  httpLogin,
  redisPassword,
  s3Login,
  startNginx,
  startRedis,
  startS3,
} from '../../helpers/cache-servers.ts'
import { bale, root } from '../../helpers/bale.ts'
import { failureOf } from '../../helpers/failure.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

// Object storages over real servers: nginx with DAV, Redis, and an S3 server that checks signatures.

const quick = { attempts: 2, firstPause: 10, connect: 2000 }
let nginx: CacheServer
let redis: CacheServer
let s3: CacheServer
beforeAll(async () => {
  // One after another: what has started is closed even if another does not start.
  nginx = await startNginx()
  redis = await startRedis()
  s3 = await startS3()
})
afterAll(async () => {
  for (const server of [nginx, redis, s3]) await server?.close()
})

let folders = 0
const url = (folder: string) => `http://127.0.0.1:${nginx.port}/${folder}/`
const atRedis = (prefix: string, password = redisPassword, timeToLive = 60_000) =>
  redisStorage(`redis://:${password}@127.0.0.1:${redis.port}`, { prefix, timeToLive })
const atS3 = (prefix: string, rest: Partial<Parameters<typeof s3Storage>[0]> = {}) =>
  s3Storage({
    bucket: 'builds',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${s3.port}`,
    prefix,
    credentials: s3Login,
    limits: quick,
    ...rest,
  })

const places: Record<string, (folder: string) => ObjectStorage> = {
  nginx: folder => httpStorage(`${url('open')}${folder}`),
  Redis: folder => atRedis(folder),
  'an S3 server': folder => atS3(folder),
}

for (const [kind, at] of Object.entries(places))
  chunkedCacheContract(`chunks in ${kind}`, () => {
    const folder = `f${folders++}`
    return Promise.resolve({ open: () => at(folder) })
  })

function use(storage: ObjectStorage): ObjectStorage {
  onTestFinished(() => storage[Symbol.asyncDispose]())
  return storage
}

describe.each(Object.keys(places))('objects in %s', kind => {
  const open = () => use(places[kind]!(`f${folders++}`))

  it('are what was put there last, and absent before', async () => {
    const storage = open()
    expect(await storage.get('a/b/c', 100)).toBeUndefined()
    expect(await storage.size('a/b/c')).toBeUndefined()
    for (const text of ['one', 'another']) {
      await storage.put('a/b/c', Buffer.from(text))
      expect(Buffer.from((await storage.get('a/b/c', 100))!).toString()).toBe(text)
      expect(await storage.size('a/b/c')).toBe(text.length)
    }
  })

  it('C01 are not read if they are too long', async () => {
    const storage = open()
    await storage.put('long', Buffer.alloc(1000))
    expect(await failureOf(storage.get('long', 999))).toMatchObject({ code: 'input' })
    expect(await storage.get('long', 1000)).toHaveLength(1000)
  })

  it('are given up at once when a build is stopped', async () => {
    const storage = open()
    await storage.put('a', Buffer.from('a'))
    const reason = new Error('stopped')
    const signal = AbortSignal.abort(reason)
    for (const attempt of [
      () => storage.get('a', 9, signal),
      () => storage.size('a', signal),
      () => storage.put('a', Buffer.of(), signal),
    ])
      expect(await failureOf(attempt())).toBe(reason)
  })
})

describe('a server of caches', () => {
  it('K17 takes a password from the URL, which no message shows', async () => {
    const { username, password } = httpLogin
    const right = use(httpStorage(url('closed').replace('//', `//${username}:${password}@`)))
    await right.put('a', Buffer.from('a'))
    expect(await right.get('a', 9)).toHaveLength(1)
    const wrong = use(httpStorage(url('closed').replace('//', `//${username}:wr0ng-s3cret@`)))
    const fault = (await failureOf(wrong.put('a', Buffer.of()))) as BaleError
    expect(fault).toMatchObject({ code: 'cache', message: 'it answered 401 to PUT' })
    expect(JSON.stringify([wrong.description, fault, fault.message])).not.toContain('s3cret')
  })

  it('K17 says that Redis wants another password', async () => {
    const wrong = use(atRedis('x', 'wr0ng-s3cret'))
    const fault = (await failureOf(wrong.get('a', 9))) as BaleError
    expect(fault).toMatchObject({ code: 'cache', fix: 'check user and password in the URL of the cache' })
    expect(JSON.stringify([wrong.description, fault.message])).not.toContain('s3cret')
  })

  it.each([
    [
      'a wrong key',
      { credentials: { ...s3Login, secretAccessKey: 'wr0ng-s3cret-access-key' } },
      /^it answered 403 to PUT: SignatureDoesNotMatch/,
    ],
    ['no such bucket', { bucket: 'nowhere' }, /^it answered 404 to PUT: NoSuchBucket/],
  ])('S3 with %s is an error with its own words', async (_what, rest, message) => {
    const fault = (await failureOf(use(atS3('x', rest)).put('a', Buffer.of(1)))) as BaleError
    expect(fault).toMatchObject({ code: 'cache', message: expect.stringMatching(message) as string })
    expect(fault.message).not.toContain('s3cret')
  })

  it.each<[string, () => ObjectStorage]>([
    ['http', () => httpStorage('http://127.0.0.1:9/x', { limits: quick })],
    ['S3', () => atS3('x', { endpoint: 'http://127.0.0.1:9' })],
    ['Redis', () => redisStorage('redis://127.0.0.1:9', { timeToLive: 1000 })],
  ])('that is not there is an error of %s', async (_kind, at) => {
    const storage = use(at())
    expect(await failureOf(storage.put('a', Buffer.of(1)))).toMatchObject({
      code: 'cache',
      fix: 'check its address, and the network',
    })
    expect(await failureOf(fill(chunkedCache(storage, 'app'), {}))).toMatchObject({ code: 'cache' })
  })

  it('forgets in Redis what was not used for its time', async () => {
    const storage = use(atRedis('ttl', redisPassword, 300))
    await storage.put('used', Buffer.from('a'))
    await storage.put('unused', Buffer.from('a'))
    for (let i = 0; i < 5; i++) {
      expect(await storage.size('used')).toBe(1)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(await storage.size('unused')).toBeUndefined()
  })

  it('that deletes old objects gets them again before they are too old', async () => {
    const folder = `f${folders++}`
    const [young, old] = [60_000, 1].map(timeToLive => use(httpStorage(`${url('open')}${folder}`, { timeToLive })))
    await young!.put('a', Buffer.from('a'))
    expect(await young!.size('a')).toBe(1)
    expect(await old!.size('a')).toBeUndefined()
  })
})

describe('the program', () => {
  const procfile = join(root, 'examples', 'procfile')
  const env = () => ({
    AWS_ACCESS_KEY_ID: s3Login.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3Login.secretAccessKey,
    CACHE_URL: `redis://:${redisPassword}@127.0.0.1:${redis.port}`,
  })
  const s3Place = () => `type=s3,bucket=builds,prefix=cli,endpoint_url=http://127.0.0.1:${s3.port}`
  const inPlaces = () => ['type=redis,url-env=CACHE_URL', s3Place(), `type=http,url=${url('open')}cli`]
  const build = (home: string, args: readonly string[], more = {}) =>
    bale(['build', 'bale-test-shared', '--path', procfile, ...args], {
      env: { ...env(), ...more, XDG_CACHE_HOME: home },
    })

  it('stores what a build leaves on all servers, and another machine reads it', async () => {
    const [one, two] = [await temporaryDirectory(), await temporaryDirectory()]
    const built = await build(
      one,
      inPlaces().flatMap(place => ['--cache-to', `${place},required`]),
    )
    expect(built.code, built.output).toBe(0)
    for (const place of inPlaces()) {
      const again = await build(two, ['--cache-from', place, '--clear-cache'])
      expect(again.code, again.output).toBe(0)
      expect(again.output).not.toContain('WARNING')
    }
    const generations = await readdir(join(nginx.dir, 'open', 'cli', 'apps'))
    expect(generations).toHaveLength(1)
  })

  it('K17 does not build for a cache that must be written and refuses, and shows no secret', async () => {
    const home = await temporaryDirectory()
    const wrong = { AWS_SECRET_ACCESS_KEY: 'wr0ng-s3cret-access-key' }
    const { code, output } = await build(home, ['--cache-to', `${s3Place()},required`, '--verbose'], wrong)
    expect(code).toBe(1)
    expect(output).toContain(
      'the cache is required, but cannot be written: it answered 403 to GET: SignatureDoesNotMatch',
    )
    expect(output).not.toContain('s3cret')
    expect(output).not.toContain('detect')
  })
})
