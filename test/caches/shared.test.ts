import { describe, expect, it } from 'vitest'
import { chunkKey, chunkedCache, generationKey } from '../../lifecycle/caches/chunks/cache.ts'
import { parseGeneration } from '../../lifecycle/caches/chunks/generation.ts'
import { type CacheTarget, RequiredCacheError, sharedCache } from '../../lifecycle/caches/shared.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import type { CacheMetadata } from '../../lifecycle/spec/types.ts'
import { cacheContract, diffIdOf, fill, metadataOf, read } from '../contracts/caches.ts'
import { failureOf } from '../helpers/failure.ts'
import { sourceOf, tarOf } from '../helpers/images.ts'
import { type MemoryStorage, memoryStorage } from '../helpers/memory-storage.ts'

const hello = { '/layers/a/hello.txt': 'hello' }
const other = { '/layers/a/other.txt': 'other' }

const target = (storage: MemoryStorage, rest: Partial<CacheTarget> = {}): CacheTarget => {
  return { cache: chunkedCache(storage, 'app'), mode: 'max', required: false, ...rest }
}
const cacheIn = (storage: MemoryStorage) => chunkedCache(storage, 'app')

cacheContract('this machine and one that is shared', () => {
  const [own, shared] = [memoryStorage(), memoryStorage()]
  const warnings: string[] = []
  const onWarning = (text: string): void => void warnings.push(text)
  const open = () =>
    sharedCache(chunkedCache(own, 'app', { onWarning }), [cacheIn(shared)], [target(shared)], onWarning)
  return Promise.resolve({
    cache: open(),
    warnings,
    close: () => Promise.resolve(),
    reopen: () => Promise.resolve(open()),
    lose(diffId) {
      for (const { objects } of [own, shared]) {
        const chunks = parseGeneration(objects.get(generationKey('app'))!).layers.get(diffId)!
        for (const [digest] of chunks) objects.delete(chunkKey(digest))
      }
      return Promise.resolve()
    },
  })
})

describe('shared caches', () => {
  it('are read when this machine has nothing: the first one that has', async () => {
    const [empty, first, second] = [memoryStorage(), memoryStorage(), memoryStorage()]
    const metadata = await fill(cacheIn(first), { hello })
    await fill(cacheIn(second), { other })
    const cache = sharedCache(cacheIn(memoryStorage()), [empty, first, second].map(cacheIn), [], () => {})
    expect(await cache.metadata()).toEqual(metadata)
    expect(await read(cache, hello)).toEqual(await tarOf(hello))
  })

  it('are not asked when this machine has what the last build left', async () => {
    const [own, shared] = [memoryStorage(), memoryStorage()]
    const metadata = await fill(cacheIn(own), { hello })
    shared.fail = () => expect.unreachable('the shared cache was asked')
    expect(await sharedCache(cacheIn(own), [cacheIn(shared)], [], () => {}).metadata()).toEqual(metadata)
  })

  it('are written beside that of this machine: every layer, or those that the image has', async () => {
    const [own, max, min] = [memoryStorage(), memoryStorage(), memoryStorage()]
    const cache = sharedCache(cacheIn(own), [], [target(max), target(min, { mode: 'min' })], () => {})
    const all = metadataOf({ hello: await diffIdOf(hello), other: await diffIdOf(other) })
    const [buildpack] = all.buildpacks
    const launch = { ...buildpack!.layers.hello!, launch: true }
    const metadata: CacheMetadata = { buildpacks: [{ ...buildpack!, layers: { ...buildpack!.layers, hello: launch } }] }
    await using writer = await cache.begin()
    await writer.put(sourceOf(hello))
    await writer.put(sourceOf(other))
    await writer.commit(metadata)
    for (const storage of [own, max]) {
      expect(await cacheIn(storage).metadata()).toEqual(metadata)
      expect(await read(cacheIn(storage), other)).toEqual(await tarOf(other))
    }
    expect((await cacheIn(min).metadata())!.buildpacks[0]!.layers).toEqual({ hello: launch })
    expect(await read(cacheIn(min), hello)).toEqual(await tarOf(hello))
    expect([...min.objects.keys()].filter(key => key.startsWith('chunks/'))).toHaveLength(1)
  })

  it.each(['begin', 'put a layer', 'commit'])(
    'C08 that fail to %s are a warning; the others are written',
    async when => {
      const [own, broken, fine] = [memoryStorage(), memoryStorage(), memoryStorage()]
      broken.fail = failing(when)
      const warnings: string[] = []
      const targets = [target(broken), target(fine)]
      const metadata = await fill(
        sharedCache(cacheIn(own), [], targets, text => warnings.push(text)),
        { hello },
      )
      for (const storage of [own, fine]) expect(await cacheIn(storage).metadata()).toEqual(metadata)
      expect(warnings).toEqual([
        'cache in memory could not be written, so the next build takes longer: the storage is full',
      ])
    },
  )

  it.each(['begin', 'put a layer', 'commit'])('C08 that fail to %s end the build if they are required', async when => {
    const [own, broken] = [memoryStorage(), memoryStorage()]
    broken.fail = failing(when)
    const cache = sharedCache(cacheIn(own), [], [target(broken, { required: true })], () => {})
    const fault = await failureOf(fill(cache, { hello }))
    expect(fault).toBeInstanceOf(RequiredCacheError)
    expect(fault).toMatchObject({ code: 'cache', message: expect.stringMatching(/the storage is full$/) as string })
  })
})

function failing(when: string): NonNullable<MemoryStorage['fail']> {
  return (method, key) => {
    const what = key === 'format' ? 'begin' : key.startsWith('chunks/') ? 'put a layer' : 'commit'
    if (method === 'put' && what === when) throw new BaleError('cache', 'the storage is full')
  }
}
