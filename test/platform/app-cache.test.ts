import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { silent } from '../../lifecycle/events.ts'
import { appCache } from '../../lifecycle/platform/app-cache.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { Destination } from '../../lifecycle/stores/open.ts'
import { platform, sourceOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

function destination(name: string, store = memoryStore()): Destination {
  return {
    sink: store,
    names: [name],
    displayNames: [name],
    identity: `store ${name}`,
    previous: { source: store, name },
  }
}

/** Builds an app whose only cached layer has one file. */
async function build(dir: string, to: Destination, content: string, image?: Destination): Promise<void> {
  await using cache = await appCache(dir, to, { clear: false, platform, reporter: silent, image })
  await cache.begin()
  await cache.commit(async keep => {
    const { diffId } = await keep(sourceOf({ '/layers/bp/deps/file': content }), {})
    const layers = { deps: { sha: diffId, data: {}, build: false, launch: false, cache: true } }
    return { buildpacks: [{ key: 'bp', version: '1.0.0', layers }] }
  })
}

async function metadataOf(dir: string, to: Destination, options: { clear?: boolean; image?: Destination } = {}) {
  await using cache = await appCache(dir, to, { clear: false, platform, reporter: silent, ...options })
  return (await cache.metadata())?.buildpacks[0]?.layers['deps']?.sha
}

describe('the cache of an app', () => {
  it('gives the next build of the app what the last one kept', async () => {
    const dir = await temporaryDirectory()
    const app = destination('one')
    expect(await metadataOf(dir, app)).toBeUndefined()
    await build(dir, app, 'one')
    expect(await metadataOf(dir, app)).toMatch(/^sha256:/)
  })

  it('C14 gives nothing of another app, whatever its name', async () => {
    const dir = await temporaryDirectory()
    await build(dir, destination('a/b'), 'one')
    for (const name of ['a-b', 'a_b', 'A/b', 'b', `${'x'.repeat(100)}a/b`])
      expect(await metadataOf(dir, destination(name))).toBeUndefined()
  })

  it('is empty when it is cleared', async () => {
    const dir = await temporaryDirectory()
    const app = destination('one')
    await build(dir, app, 'one')
    expect(await metadataOf(dir, app, { clear: true })).toBeUndefined()
    expect(await metadataOf(dir, app)).toBeUndefined()
  })

  it('may be an image, which another machine reads; cleared, it is written and not read', async () => {
    const [here, there] = [await temporaryDirectory(), await temporaryDirectory()]
    const app = destination('one')
    const image = destination('cache')
    await build(here, app, 'one', image)
    expect(await metadataOf(there, app, { image })).toMatch(/^sha256:/)
    expect(await metadataOf(there, app, { image, clear: true })).toBeUndefined()
  })

  it('is in use until it is disposed of', async () => {
    const dir = await temporaryDirectory()
    const [users] = await (async () => {
      await using _cache = await appCache(dir, destination('one'), { clear: false, platform, reporter: silent })
      const [own = ''] = await readdir(join(dir, 'apps'))
      const users = join(dir, 'apps', own, 'users')
      expect(await readdir(users)).toHaveLength(1)
      return [users] as const
    })()
    expect(await readdir(users)).toEqual([])
  })
})
