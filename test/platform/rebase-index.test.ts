import { describe, expect, it } from 'vitest'
import type { BuildEvent } from '../../lifecycle/events.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { type ImageIndex, assembleImageIndex, makeImageIndex } from '../../lifecycle/image/image-index.ts'
import { oci } from '../../lifecycle/image/media-types.ts'
import { rebase } from '../../lifecycle/platform/rebase-app.ts'
import { settings } from '../../lifecycle/platform/settings.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { memoryTransport } from '../../lifecycle/stores/memory/transport.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { type ImageStore, indexSink } from '../../lifecycle/stores/store.ts'
import { transports } from '../../lifecycle/stores/transports.ts'
import { putAppImage, putRunImage } from '../helpers/app-image.ts'
import { failureOf } from '../helpers/failure.ts'
import { type Files, configOf, sourceOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: after each write to a name, the name still has the images of all platforms that it had before.

const architectures = ['amd64', 'arm64']

async function setUp() {
  const home = await temporaryDirectory()
  const store = memoryStore()
  const events: BuildEvent[] = []
  const reporter = { event: (event: BuildEvent) => void events.push(event), close: () => Promise.resolve() }
  const memory = { ...settings({ HOME: home }), transports: [...transports, memoryTransport(store)] }
  return { home, store, events, reporter, settings: memory }
}

/** An index of run images, whose second layer holds its text. */
async function putRun(store: ImageStore, text: string, platforms = architectures): Promise<Image[]> {
  const layers: Files[] = [{ '/etc/os-release': 'ID=debian' }, { '/lib/libc': text }]
  const images = []
  for (const architecture of platforms)
    images.push(await putRunImage(store, `run-${architecture}`, { layers, config: { architecture } }))
  await indexSink(store).putIndex(makeImageIndex(images), ['memory:run', 'run'])
  return images
}

async function putApp(store: ImageStore, run: readonly Image[], name = 'app'): Promise<ImageIndex> {
  const images = []
  for (const [i, architecture] of architectures.entries()) {
    const base = { image: run[i]!, name: 'memory:run' }
    images.push(await putAppImage(store, `app-${architecture}`, base, { config: { architecture } }))
  }
  const index = makeImageIndex(images, { 'org.opencontainers.image.title': 'app' })
  await indexSink(store).putIndex(index, [name])
  return index
}

describe('bale rebase of an index', () => {
  it('rebases the image of every platform, and moves the name to an index of the results', async () => {
    const { store, events, reporter, settings } = await setUp()
    const before = await putApp(store, await putRun(store, 'old'))
    const run = await putRun(store, 'new')
    const options = { image: 'memory:app', tags: ['memory:copy'], runImage: 'memory:run', settings, reporter }
    const result = await rebase({ ...options, force: true })
    if (result.kind !== 'index') expect.unreachable('it is an index')
    expect(result.names).toEqual(['app', 'copy'])
    for (const name of ['app', 'copy']) {
      const found = await store.pullIndex(name)
      expect(found?.digest).toBe(result.index.digest)
      expect(found?.document.annotations).toEqual(before.document.annotations)
    }
    for (const [i, architecture] of architectures.entries()) {
      const image = (await store.pull('app', { os: 'linux', architecture }))!
      expect(image.config.architecture).toBe(architecture)
      const diffIds = image.layers.map(l => l.diffId)
      expect(diffIds.slice(0, 2)).toEqual(run[i]!.layers.map(l => l.diffId))
      expect(diffIds.slice(2)).toEqual(before.manifests[i]!.image.layers.slice(2).map(l => l.diffId))
    }
    const saved = events.filter(e => e.type === 'saved')
    expect(saved).toMatchObject([{ names: ['app', 'copy'], digest: result.index.digest }])
  })

  it('moves no name when the run image lacks one of the platforms', async () => {
    const { store, reporter, settings } = await setUp()
    const before = await putApp(store, await putRun(store, 'old'))
    await putRun(store, 'new', ['amd64'])
    const options = { image: 'memory:app', runImage: 'memory:run', settings, reporter, force: true }
    expect(String(await failureOf(rebase(options)))).toContain('arm64')
    expect((await store.pullIndex('app'))?.digest).toBe(before.digest)
  })

  it('says before it writes anything that a further destination holds no index', async () => {
    const { home, store, reporter, settings } = await setUp()
    const before = await putApp(store, await putRun(store, 'old'))
    await putRun(store, 'new')
    const tags = [`docker-archive:${home}/app.tar`]
    const options = { image: 'memory:app', tags, runImage: 'memory:run', settings, reporter, force: true }
    expect(String(await failureOf(rebase(options)))).toContain('cannot hold an index')
    expect((await store.pullIndex('app'))?.digest).toBe(before.digest)
  })

  it('leaves out attestations of the images before, and says so; a further index is refused', async () => {
    const { store, events, reporter, settings } = await setUp()
    const { manifests, document } = await putApp(store, await putRun(store, 'old'))
    await putRun(store, 'new')
    const options = { image: 'memory:app', runImage: 'memory:run', settings, reporter, force: true }
    const withEntry = (mediaType: string): ImageIndex => {
      const platform = { os: 'unknown', architecture: 'unknown' }
      const entry = { mediaType, digest: digestOf(mediaType), size: 10, platform }
      const more = { ...document, manifests: [...document.manifests, entry] }
      return assembleImageIndex(Buffer.from(JSON.stringify(more)), more, manifests)
    }
    const serving = (index: ImageIndex) => {
      const source = { ...store, pullIndex: () => Promise.resolve(index) }
      return { ...settings, transports: [...transports, memoryTransport(source)] }
    }
    await rebase({ ...options, settings: serving(withEntry(oci.manifest)) })
    expect(events.filter(e => e.type === 'warning').map(e => e.text)).toContainEqual(
      expect.stringContaining(digestOf(oci.manifest)),
    )
    expect((await store.pullIndex('app'))?.manifests).toHaveLength(2)
    const refused = rebase({ ...options, settings: serving(withEntry(oci.index)) })
    expect(String(await failureOf(refused))).toContain('another index')
  })

  it.each([
    ['memory:none', 'build it first'],
    ['none', 'add --publish'],
  ])('there is none of the name %s: %s', async (image, fix) => {
    const { reporter, settings } = await setUp()
    const error = await failureOf(rebase({ image, settings, reporter }))
    expect(error).toMatchObject({ code: 'arguments', fix: expect.stringContaining(fix) as string })
    if (image.includes(':')) expect(error).not.toMatchObject({ fix: expect.stringContaining('--publish') as string })
  })
})

describe('O07 an index of several platforms', () => {
  async function destinationAt(name: string) {
    const { home, store, reporter, settings } = await setUp()
    await using stores = new Stores(settings, reporter)
    const [destination] = await stores.destinations([name], false)
    return { home, store, destination, image: makeImage(configOf(), [await store.putLayer(sourceOf({ '/a': 'a' }))]) }
  }

  it('is not replaced by an image of one', async () => {
    const { store, destination, image } = await destinationAt('memory:app')
    const before = await putApp(store, await putRun(store, 'old'))
    const { sink, names } = destination
    expect(String(await failureOf(sink.checkWrite(names)))).toMatch(/linux\/amd64, linux\/arm64.*replace them all/)
    expect(String(await failureOf(sink.putImage(image, names)))).toContain('replace them all')
    expect((await store.pullIndex('app'))?.digest).toBe(before.digest)
  })

  it('is replaced by an index', async () => {
    const { store, destination } = await destinationAt('memory:app')
    const run = await putRun(store, 'old')
    await putApp(store, run)
    await indexSink(destination.sink).putIndex(makeImageIndex(run), ['app'])
    expect((await store.pullIndex('app'))?.manifests).toHaveLength(2)
  })

  it('is one of several: an index of one platform, an image and nothing may be replaced', async () => {
    const { store, destination, image } = await destinationAt('memory:app')
    const { sink, names } = destination
    for (const before of [undefined, image, makeImageIndex([image])]) {
      if (before !== undefined && 'manifests' in before) await indexSink(store).putIndex(before, names)
      else if (before !== undefined) await store.putImage(before, names)
      await sink.checkWrite(names)
      await sink.putImage(image, names)
      expect((await store.pull('app', { os: 'linux', architecture: 'amd64' }))?.digest).toBe(image.digest)
    }
  })
})
