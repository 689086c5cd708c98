import { describe, expect, it, onTestFinished } from 'vitest'
import { imageCache } from '../../lifecycle/caches/image.ts'
import { type Digest, digestOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { oci } from '../../lifecycle/image/media-types.ts'
import { labels } from '../../lifecycle/spec/labels.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { cacheContract, diffIdOf, fill, metadataOf, read } from '../contracts/caches.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf, configOf, layerOf, noise, platform, sourceOf, tarOf } from '../helpers/images.ts'
import { startRegistry, type FakeRegistry } from '../helpers/registry.ts'
import { connect, seed } from '../helpers/registry/set-up.ts'

// The oracle: a cache image that cannot be used costs time, and a warning says why; bytes that are not the layer's are never
// taken for it; an image that is not a cache stays what it is.

const hello = { '/layers/a/hello.txt': 'hello' }
const other = { '/layers/a/other.txt': 'other' }

function cacheIn(store: ImageStore, warnings: string[] = []) {
  const at = { source: store, sink: store, name: 'cache' }
  return imageCache(at, { platform, onWarning: text => warnings.push(text) })
}

async function serve() {
  const server = await startRegistry()
  onTestFinished(() => server.close())
  const warnings: string[] = []
  const open = () => cacheIn(connect(server.host).store, warnings)
  return { server, warnings, open, cache: open() }
}

cacheContract('image in a registry', async () => {
  const { server, warnings, open, cache } = await serve()
  return {
    cache,
    warnings,
    close: () => Promise.resolve(),
    reopen: () => Promise.resolve(open()),
    lose: async diffId => void server.blobs.delete(await blobOf(server, diffId)),
    damageMetadata: bytes => Promise.resolve(relabel(server, bytes)),
  }
})

/** The digest under which the registry has a layer of the cache image. */
async function blobOf(server: FakeRegistry, diffId: Digest): Promise<string> {
  const image = await connect(server.host).store.pull('cache', platform)
  return image!.layers.find(layer => layer.diffId === diffId)!.digest
}

/** Replaces the label's value, whatever bytes it is, as somebody else might who writes to the registry. */
function relabel(server: FakeRegistry, value: Uint8Array, label: string = labels.cache): void {
  const { bytes, type } = server.manifests.get('team/app:cache')!
  const manifest = JSON.parse(bytes.toString()) as { config: { digest: string; size: number } }
  const config = JSON.parse(server.blobs.get(manifest.config.digest)!.toString()) as Record<string, unknown>
  const text = value.toString()
  const valid = Buffer.from(text).equals(value)
  const json = valid ? Buffer.from(JSON.stringify(text)) : Buffer.concat([Buffer.from('"'), value, Buffer.from('"')])
  const [before, after] = JSON.stringify({ ...config, config: { Labels: { [label]: 'HERE' } } }).split('"HERE"')
  const changed = Buffer.concat([Buffer.from(before!), json, Buffer.from(after!)])
  manifest.config.digest = server.addBlob('team/app', changed)
  manifest.config.size = changed.length
  server.addManifest('team/app', 'cache', type, manifest)
}

describe('a cache image', () => {
  it('C20 has an entry of the history for each layer: others panic on one without', async () => {
    const { server, cache } = await serve()
    await fill(cache, { hello, other })
    const image = (await connect(server.host).store.pull('cache', platform))!
    expect(image.layers).toHaveLength(2)
    const entry = { created: '1980-01-01T00:00:01Z', created_by: 'Cached layer' }
    expect(image.config.history).toEqual([entry, entry])
  })

  it('C20 has one empty layer when there is nothing to cache: registries refuse an image without layers', async () => {
    const { server, cache, open } = await serve()
    await fill(cache, {})
    const image = (await connect(server.host).store.pull('cache', platform))!
    expect(image.layers.map(l => l.diffId)).toEqual([digestOf(Buffer.alloc(1024))])
    expect(image.config.history).toHaveLength(1)
    await fill(open(), { hello })
    expect((await connect(server.host).store.pull('cache', platform))!.layers).toHaveLength(1)
    expect(await read(open(), hello)).toEqual(await tarOf(hello))
  })

  it('sends no layer again that the generation before had', async () => {
    const { server, cache, open } = await serve()
    const big = { '/noise': noise(300_000) }
    await fill(cache, { big, hello })
    const before = server.received
    await fill(open(), { big, other })
    // The other layer, the config, and nothing else.
    expect(server.received - before).toBeLessThan(3_000)
    expect(await read(open(), big)).toEqual(await tarOf(big))
  })

  it('is the same image for the same layers, whichever is the first to arrive', async () => {
    const images = []
    for (const trees of [
      [hello, other],
      [other, hello],
    ]) {
      const store = memoryStore()
      await using writer = await cacheIn(store).begin()
      for (const tree of trees) await writer.put(sourceOf(tree))
      await writer.commit(metadataOf({}))
      images.push((await store.pull('cache', platform))!.digest)
    }
    expect(images[0]).toBe(images[1])
  })

  it('is an image as the Go lifecycle has it: a label, a diffID for each layer', async () => {
    const { server, cache } = await serve()
    const metadata = await fill(cache, { hello })
    const manifest = JSON.parse(server.manifests.get('team/app:cache')!.bytes.toString()) as {
      config: { digest: string }
      layers: { mediaType: string; digest: string }[]
    }
    const config = JSON.parse(server.blobs.get(manifest.config.digest)!.toString()) as {
      config: { Labels: Record<string, string> }
      rootfs: unknown
    }
    expect(manifest.layers.map(l => l.mediaType)).toEqual([oci.layerGzip])
    expect(config.rootfs).toEqual({ type: 'layers', diff_ids: [await diffIdOf(hello)] })
    expect(JSON.parse(config.config.Labels['io.buildpacks.lifecycle.cache.metadata']!)).toEqual(metadata)
  })

  it.each(['none', 'gzip', 'zstd'] as const)(
    'is read whatever its layers are compressed with: %s',
    async compression => {
      const store = memoryStore()
      const layer = await store.putLayer(await layerOf(hello, compression))
      const label = JSON.stringify(metadataOf({ hello: layer.diffId }))
      await store.putImage(makeImage(configOf({ config: { Labels: { [labels.cache]: label } } }), [layer], 'docker'), [
        'cache',
      ])
      const cache = cacheIn(store)
      expect(await cache.metadata()).toEqual(metadataOf({ hello: layer.diffId }))
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    },
  )

  it('stays what it was for whoever began to read it before it was replaced', async () => {
    const { cache, open } = await serve()
    await fill(cache, { hello })
    const reader = open()
    const metadata = await reader.metadata()
    await fill(cache, { other })
    expect(metadata!.buildpacks[0]!.layers.hello!.sha).toBe(await diffIdOf(hello))
    expect(await read(reader, hello)).toEqual(await tarOf(hello))
  })

  it('C15 is neither read nor replaced where its name is an app image', async () => {
    const { server, warnings, cache } = await serve()
    const app = await seed(server, 'team/app:cache')
    expect(await cache.metadata()).toBeUndefined()
    expect(warnings.join()).toContain('it is an image, but not a cache')
    expect(await failureOf(cache.begin())).toMatchObject({ code: 'arguments' })
    expect((await connect(server.host).store.pull('cache', platform))!.digest).toBe(app.digest)
  })

  it('is not read where it was made for another platform and the caller wants none of that', async () => {
    const store = memoryStore()
    const at = { source: store, sink: store, name: 'cache' }
    const arm64 = { os: 'linux', architecture: 'arm64' }
    await fill(cacheIn(store), { layer: hello })
    expect(await imageCache(at, { platform: arm64 }).metadata()).toBeDefined()
    expect(await imageCache(at, { platform: arm64, otherPlatforms: 'ignored' }).metadata()).toBeUndefined()
    expect(await imageCache(at, { platform, otherPlatforms: 'ignored' }).metadata()).toBeDefined()
  })

  it('C04 C03 notices a layer that is another, when it is read', async () => {
    const { server, cache, open } = await serve()
    await fill(cache, { hello })
    const digest = await blobOf(server, await diffIdOf(hello))
    const bytes = Buffer.from(server.blobs.get(digest)!)
    bytes[bytes.length - 3]! ^= 1
    server.blobs.set(digest, bytes)
    const layer = await open().open(await diffIdOf(hello))
    expect(await failureOf(bytesOf(layer!))).toMatchObject({ code: 'registry' })
  })

  it('C03 notices a layer that is not what its image says, when it is read', async () => {
    const store = memoryStore()
    for (const tree of [hello, { '/noise': noise(3_000_000) }]) {
      const layer = { ...(await layerOf(tree)), diffId: digestOf('other') }
      const config = configOf({ config: { Labels: { [labels.cache]: '{"buildpacks":[]}' } } })
      await store.putImage(makeImage(config, [await store.putLayer(layer)]), ['cache'])
      const tar = await cacheIn(store).open(layer.diffId)
      const message = `the bytes of ${layer.diffId} are wrong: their digest is ${await diffIdOf(tree)}`
      expect(await failureOf(bytesOf(tar!))).toMatchObject({ code: 'input', message })
    }
  })

  it.each([401, 403, 500, 429])('costs time, not the build, where the registry answers %i', async status => {
    const { server, warnings, cache } = await serve()
    server.faults = ({ url }) => (url.pathname.includes('/manifests/') ? { answer: { status } } : undefined)
    expect(await cache.metadata()).toBeUndefined()
    expect(await cache.open(digestOf('layer'))).toBeUndefined()
    expect(warnings).toHaveLength(2)
    expect(warnings.join()).not.toMatch(/[\x00-\x1f]/)
  })

  it('fails to be written as a writer must, with the registry’s words', async () => {
    const { server, cache } = await serve()
    await fill(cache, { hello })
    server.faults = ({ method }) => (method === 'PUT' ? { answer: { status: 403 } } : undefined)
    expect(await failureOf(fill(cache, { other }))).toMatchObject({ code: 'registry' })
    server.faults = undefined
    expect(await read(cache, hello)).toEqual(await tarOf(hello))
  })
})
