import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { silent } from '../../lifecycle/events.ts'
import { appCache } from '../../lifecycle/platform/app-cache.ts'
import { settings } from '../../lifecycle/platform/settings.ts'
import type { Digest } from '../../lifecycle/image/digest.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { type Destination, Stores } from '../../lifecycle/stores/open.ts'
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

  it('C14 is that of one image alone, whatever is in paths and names', async () => {
    const dir = await temporaryDirectory()
    const at = join(await temporaryDirectory(), 'a')
    await using stores = new Stores({ ...settings({ HOME: dir }), dataDir: join(dir, 'data') }, silent)
    const images = [
      ...[`oci:${at}`, `oci:${at} `, `oci:${at}:b c`, `oci:${at} b:c`, `oci:${at}\\ b:c`, `oci:${at}: b c`],
      ...[`oci-archive:${at}:b`, `docker-archive:${at}:b`, `oci:${at}:B`, `oci:${at}:b`, `oci:${at}:b `],
      ...[
        'b:latest',
        'b:v1',
        'store/b',
        'docker-daemon:b:latest',
        'docker://127.0.0.1:1/b',
        'docker://127.0.0.1:1/b-c',
      ],
      ...['docker://127.0.0.1:1/b/c', 'docker://127.0.0.1:10/b', 'docker://localhost:1/b'],
    ]
    const opened = await Promise.all(images.map(async image => (await stores.destinations([image], false))[0]))
    for (const [n, app] of opened.entries()) {
      expect(await metadataOf(dir, app), images[n]).toBeUndefined()
      await build(dir, app, images[n] ?? '')
    }
    expect(await readdir(join(dir, 'apps'))).toHaveLength(images.length)
    // Another path or tag that names the same is the same app.
    const same = (await stores.destinations([`oci:${at}/../a:b`], false))[0]
    expect(await metadataOf(dir, same)).toMatch(/^sha256:/)
  })

  it('C14 gives no layer of another app, even to who knows its digest', async () => {
    const dir = await temporaryDirectory()
    const [one, two] = [destination('one'), destination('two')]
    await build(dir, one, 'of one')
    const diffId = (await metadataOf(dir, one)) as Digest
    await build(dir, two, 'of two')
    await using cache = await appCache(dir, two, { clear: false, platform, reporter: silent })
    expect(await cache.open(diffId)).toBeUndefined()
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
