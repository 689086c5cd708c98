import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import type { CacheMetadata } from '../../lifecycle/spec/types.ts'
import { cacheContract, diffIdOf, fill } from '../contracts/caches.ts'
import { tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

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
