import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { BlobInfoCache } from '../../lifecycle/caches/blob-info-cache.ts'
import type { Digest } from '../../lifecycle/image/digest.ts'
import type { CacheMetadata } from '../../lifecycle/spec/types.ts'
import { cacheContract, diffIdOf, fill } from '../contracts/caches.ts'
import { layerOf, noise, sourceOf, tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: a layer that is damaged is noticed, and stored again with the right bytes.

const metadataFile = 'io.buildpacks.lifecycle.cache.metadata'
const hello = { '/layers/a/hello.txt': 'hello' }

cacheContract('directory', async () => {
  const dir = join(await temporaryDirectory(), 'cache')
  const warnings: string[] = []
  const openCache = () => directoryCache(dir, { onWarning: text => warnings.push(text) })
  return {
    cache: openCache(),
    warnings,
    close: () => Promise.resolve(),
    reopen: () => Promise.resolve(openCache()),
    lose: diffId => rm(join(dir, 'committed', `${diffId}.tar`)),
    damage: (diffId, bytes) => writeFile(join(dir, 'committed', `${diffId}.tar`), bytes),
    damageMetadata: bytes => writeFile(join(dir, 'committed', metadataFile), bytes),
  }
})

describe('the volume layout of the Go lifecycle', () => {
  it('is what it writes', async () => {
    const dir = await temporaryDirectory()
    await fill(directoryCache(dir), { hello })
    await fill(directoryCache(dir), { hello })
    expect((await readdir(dir)).sort()).toEqual(['committed', 'staging'])
    expect(await readdir(join(dir, 'staging'))).toEqual([])
    const file = `${await diffIdOf(hello)}.tar`
    expect((await readdir(join(dir, 'committed'))).sort()).toEqual([metadataFile, file])
    expect(await readFile(join(dir, 'committed', file))).toEqual(await tarOf(hello))
    const { buildpacks } = JSON.parse(await readFile(join(dir, 'committed', metadataFile), 'utf8')) as CacheMetadata
    expect(buildpacks[0]?.layers.hello?.sha).toBe(await diffIdOf(hello))
  })

  it('is what it reads: directories made and nothing in them is an empty cache', async () => {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'committed'))
    await mkdir(join(dir, 'staging'))
    const warnings: string[] = []
    expect(await directoryCache(dir, { onWarning: text => warnings.push(text) }).metadata()).toBeUndefined()
    expect(warnings).toEqual([])
  })
})

describe('with an index', () => {
  const large = { '/layers/a/noise': noise(2_000_000) }

  /** A build that stores the layer, whose digests are known. */
  async function build(dir: string): Promise<{ reused: boolean; diffId: Digest }> {
    const index = await BlobInfoCache.open(dir)
    await using writer = await directoryCache(dir, { index }).begin()
    const { reused, diffId } = await writer.put({ ...sourceOf(large), known: await layerOf(large) })
    await writer.commit({ buildpacks: [] })
    await index.save()
    return { reused, diffId }
  }

  it('C04 takes a large layer over unread if its file is as it was, and finds out when it is not', async () => {
    const dir = await temporaryDirectory()
    const { diffId } = await build(dir)
    expect(await build(dir)).toMatchObject({ reused: true })
    const path = join(dir, 'committed', `${diffId}.tar`)
    const bytes = await readFile(path)
    await writeFile(path, bytes.fill(1, 1000, 2000))
    expect(await build(dir)).toMatchObject({ reused: false })
    expect(await readFile(path)).toEqual(await tarOf(large))
  })
})
