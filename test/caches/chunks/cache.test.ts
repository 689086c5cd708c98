import { describe, expect, it } from 'vitest'
import {
  type ChunkedCacheOptions,
  chunkKey,
  chunkedCache,
  generationKey,
} from '../../../lifecycle/caches/chunks/cache.ts'
import { parseGeneration } from '../../../lifecycle/caches/chunks/generation.ts'
import { BaleError } from '../../../lifecycle/errors.ts'
import { chunkedCacheContract } from '../../contracts/chunked-cache.ts'
import { diffIdOf, fill, metadataOf, read } from '../../contracts/caches.ts'
import { failureOf } from '../../helpers/failure.ts'
import { type Files, noise, sourceOf, tarOf } from '../../helpers/images.ts'
import { memoryStorage } from '../../helpers/memory-storage.ts'

chunkedCacheContract('chunks in an object storage', () => {
  const shared = new Map<string, Uint8Array>()
  return Promise.resolve({ open: () => memoryStorage(shared) })
})

const big: Files = { '/layers/a/noise': noise(3_000_000) }

function open(options: ChunkedCacheOptions = {}) {
  const storage = memoryStorage()
  const warnings: string[] = []
  const at = (name: string) => chunkedCache(storage, name, { onWarning: text => warnings.push(text), ...options })
  return { storage, warnings, at, cache: at('app') }
}

describe('a cache of chunks', () => {
  it('C22 gives no chunk that was replaced in the storage, and stores it anew', async () => {
    for (const bytes of [
      Buffer.of(),
      Buffer.from('no zstd'),
      await import('node:zlib').then(z => z.zstdCompressSync(Buffer.alloc(9))),
    ]) {
      const { storage, cache } = open()
      await fill(cache, { big })
      const { layers } = parseGeneration(storage.objects.get(generationKey('app'))!)
      const [digest] = layers.get(await diffIdOf(big))![1]!
      storage.objects.set(chunkKey(digest), bytes)
      expect(await failureOf(read(cache, big))).toMatchObject({
        code: 'input',
        message: expect.stringContaining(digest) as string,
      })
      await using writer = await cache.begin()
      expect(await writer.put(sourceOf(big, { piece: 10_000 }))).toMatchObject({ reused: false })
      await writer.commit(metadataOf({}))
      expect(await read(cache, big)).toEqual(await tarOf(big))
    }
  })

  it('C22 does not unpack a chunk to more bytes than it has', async () => {
    const { storage, cache } = open()
    await fill(cache, { big })
    const { layers } = parseGeneration(storage.objects.get(generationKey('app'))!)
    const [digest] = layers.get(await diffIdOf(big))![0]!
    const { zstdCompressSync } = await import('node:zlib')
    storage.objects.set(chunkKey(digest), zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)))
    expect(await failureOf(read(cache, big))).toMatchObject({ message: `the chunk ${digest} is damaged` })
  })

  it('C14 keeps the generations of apps apart, and shares what they have in common', async () => {
    const { storage, at } = open()
    const metadata = await fill(at('one'), { big })
    const before = storage.moved.put
    expect(await at('two').metadata()).toBeUndefined()
    await fill(at('two'), { big, other: { '/layers/a/other': 'other' } })
    expect(storage.moved.put - before).toBeLessThan(3_000)
    expect(await at('one').metadata()).toEqual(metadata)
    expect(await read(at('two'), big)).toEqual(await tarOf(big))
  })

  it.each([
    ['registry.example.com/team/app', 'registry.example.com/team-app'],
    ['a/B', 'a/b'],
    ['../../etc', '../../etc/'],
  ])('tells %j from %j in the storage, whose keys have few characters', (one, two) => {
    expect(generationKey(one)).toMatch(/^apps\/[a-z0-9.-]+$/)
    expect(generationKey(one)).not.toBe(generationKey(two))
  })

  it('uses a generation until its time is over', async () => {
    let now = 1_000_000
    const { cache, warnings } = open({ timeToLive: 5000, now: () => now })
    const metadata = await fill(cache, { big })
    now += 4999
    expect(await cache.metadata()).toEqual(metadata)
    now += 1
    expect(await cache.metadata()).toBeUndefined()
    expect(warnings).toEqual([])
    expect(await fill(cache, { big })).toEqual(await cache.metadata())
  })

  it('refuses to hold more than it may', async () => {
    const { cache, storage } = open({ maxSize: 1_000_000 })
    const fault = await failureOf(fill(cache, { big }))
    expect(fault).toMatchObject({ code: 'cache', fix: expect.stringContaining('max-size') as string })
    expect(storage.objects.has(generationKey('app'))).toBe(false)
  })

  it('sends a chunk again whose sending failed, and fails as the storage does', async () => {
    const { cache, storage } = open()
    const refused = new BaleError('cache', 'no space')
    let faults = 1
    storage.fail = (method, key) => {
      if (method === 'put' && key.startsWith('chunks/') && faults-- > 0) throw refused
    }
    await using writer = await cache.begin()
    expect(await failureOf(writer.put(sourceOf(big, { piece: 10_000 })))).toBe(refused)
    expect(await writer.put(sourceOf(big, { piece: 10_000 }))).toMatchObject({ reused: false })
    await writer.commit(metadataOf({ big: await diffIdOf(big) }))
    expect(await read(cache, big)).toEqual(await tarOf(big))
  })

  it('learns before any work that it may not write', async () => {
    const { cache, storage } = open()
    const refused = new BaleError('cache', 'forbidden')
    storage.fail = method => {
      if (method === 'put') throw refused
    }
    expect(await failureOf(cache.begin())).toBe(refused)
  })
})
