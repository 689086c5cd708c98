import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Clock, BlobInfoCache } from '../../lifecycle/caches/blob-info-cache.ts'
import { noise, layerOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: an index that may be wrong knows nothing, which costs time.

const start = Date.UTC(2026, 0, 1)
const clock = (changes: Partial<{ now: number; up: number; boot: string | undefined }> = {}): Clock => {
  const { now = start, up = 5000, boot = 'one' } = changes
  return { now: () => now, sinceBoot: () => up, boot: () => ('boot' in changes ? changes.boot : boot) }
}
const hour = 3_600_000
const key = { purpose: 'image gzip', place: 'place', tree: 'tree' }

async function saved() {
  const dir = await temporaryDirectory()
  const index = await BlobInfoCache.open(dir, clock())
  const { diffId, digest, size, mediaType } = await layerOf({ '/a': 'a' })
  index.setLayer(key, { diffId, digest, size, mediaType })
  index.setTree(diffId, 'fingerprint')
  await index.save()
  return { dir, layer: { diffId, digest, size, mediaType } }
}

describe('an index', () => {
  it('knows what was set before it was saved', async () => {
    const { dir, layer } = await saved()
    const index = await BlobInfoCache.open(dir, clock({ now: start + hour, up: 5000 + hour }))
    expect(index.layer(key)).toEqual(layer)
    expect(index.tree(layer.diffId)).toBe('fingerprint')
    expect(index.layer({ ...key, tree: 'other' })).toBeUndefined()
  })

  it('knows what is made of a tree that was restored from a layer', async () => {
    const { dir, layer } = await saved()
    const other = (await layerOf({ '/b': 'b' })).diffId
    const index = await BlobInfoCache.open(dir, clock())
    expect([index.hasContent(layer.diffId), index.hasContent(other)]).toEqual([true, false])
    index.setContent(layer.diffId, 'restored')
    index.setContent(other, 'foreign')
    expect(index.layer({ ...key, tree: 'restored' })).toEqual(layer)
    expect(index.layer({ ...key, tree: 'foreign' })).toBeUndefined()
    expect(index.layer({ ...key, tree: 'restored', place: 'elsewhere' })).toBeUndefined()
    expect(index.layer({ ...key, tree: 'restored', purpose: 'cache' })).toBeUndefined()
  })

  it('is saved whole for another process of the same build', async () => {
    const { dir, layer } = await saved()
    const restorer = await BlobInfoCache.open(dir, clock())
    restorer.setContent(layer.diffId, 'restored')
    await restorer.saveContent()
    const exporter = await BlobInfoCache.open(dir, clock())
    expect(exporter.layer({ ...key, tree: 'restored' })).toEqual(layer)
    expect(exporter.tree(layer.diffId)).toBe('fingerprint')
    // What it was made of before is gone: builds that fail add nothing.
    expect(exporter.layer(key)).toBeUndefined()
  })

  it('forgets what is not used', async () => {
    const { dir, layer } = await saved()
    await (await BlobInfoCache.open(dir, clock())).save()
    const index = await BlobInfoCache.open(dir, clock())
    expect([index.layer(key), index.tree(layer.diffId)]).toEqual([undefined, undefined])
  })

  const steps: Record<string, Clock> = {
    'another boot': clock({ boot: 'two', now: start + hour, up: 10 }),
    'a clock set back': clock({ now: start - hour, up: 6000 }),
    'a clock set back a little': clock({ now: start + 1000, up: 5000 + 10_000 }),
    'a clock set ahead': clock({ now: start + hour, up: 6000 }),
    'a boot that nothing tells from others': clock({ boot: undefined }),
  }
  it.each(Object.entries(steps))('C17 is not trusted after %s', async (_what, later) => {
    const { dir } = await saved()
    expect((await BlobInfoCache.open(dir, later)).layer(key)).toBeUndefined()
  })

  it('is trusted while a clock is kept right by small corrections', async () => {
    const { dir } = await saved()
    const index = await BlobInfoCache.open(dir, clock({ now: start + 240 * hour, up: 5000 + 240 * hour - 60_000 }))
    expect(index.layer(key)).toBeDefined()
  })

  it.each(['', '{', '[]', '{"version":3}', '{"version":2,"boot":"one","booted":0,"written":0,"layers":7}'])(
    'C01 is empty when it is damaged: %j',
    async text => {
      const { dir } = await saved()
      await writeFile(join(dir, 'known-layers.json'), text)
      expect((await BlobInfoCache.open(dir, clock())).layer(key)).toBeUndefined()
    },
  )

  it('C04 knows a large file as long as it is as it was', async () => {
    const { dir, layer } = await saved()
    const path = join(dir, 'tar')
    await writeFile(path, noise(2_000_000))
    const before = await BlobInfoCache.open(dir)
    await before.setFile(layer.diffId, path)
    await before.save()
    const index = await BlobInfoCache.open(dir)
    expect(await index.hasFile(layer.diffId, path)).toBe(true)
    await writeFile(path, noise(2_000_000, 'other'))
    expect(await index.hasFile(layer.diffId, path)).toBe(false)
  })
})
