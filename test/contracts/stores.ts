import { describe, expect, it, onTestFinished } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { type Digest, digestOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { docker, oci } from '../../lifecycle/image/media-types.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { makeImageIndex } from '../../lifecycle/image/image-index.ts'
import { type ImageStore, indexSink } from '../../lifecycle/stores/store.ts'
import { failureOf } from '../helpers/failure.ts'
import {
  type Files,
  bytesOf,
  configOf,
  layerOf,
  noise,
  pieces,
  platform,
  sourceOf,
  uncompressed,
  withBytes,
} from '../helpers/images.ts'

/** A fresh, empty store, and what a test cannot do through the ImageStore interface. */
export interface OpenStore {
  readonly store: ImageStore
  /** A usable image name in this store; the same text gives the same name. */
  readonly name: (text: string) => string
  readonly close: () => Promise<void>
  /** Another store on the same place, as a second process would open it. */
  readonly reopen?: () => Promise<ImageStore>
  /** Changes a bit of a blob where it is stored. */
  readonly corrupt?: (digest: Digest) => Promise<void>
  /** A store for the same place or another one, in which this user may not write. */
  readonly unwritable?: () => Promise<ImageStore>
}

/** Cases that a kind of store cannot pass by its nature, each with the reason; it is shown beside the skipped test. */
export interface Exceptions {
  /** An image is replaced, or several are kept. */
  severalImages?: string
  /** A layer of another store keeps its digest, size and media type. */
  keepsBlobs?: string
  /** The manifest that comes back has the bytes that were put. */
  keepsManifests?: string
  /** Docker's media types are kept. */
  dockerFormat?: string
  /** Image indexes are stored. A store that cannot says so. */
  indexes?: string
}

const hello = { '/app/hello.txt': 'hello' }
const other = { '/app/other.txt': 'other' }

/** What every store promises (lifecycle/stores/store.ts): `storeContract('layout', () => …)` in its own test file. */
export function storeContract(kind: string, open: () => Promise<OpenStore>, exceptions: Exceptions = {}): void {
  async function fresh(): Promise<OpenStore> {
    const opened = await open()
    onTestFinished(() => opened.close())
    return opened
  }
  const keepsManifests = exceptions.keepsManifests === undefined
  const unless = (reason: string | undefined) =>
    reason === undefined ? it : (title: string, _test: () => Promise<void>) => it.skip(`${title} (skipped: ${reason})`)

  describe(`${kind}: layers`, () => {
    it('makes a layer from a source, whose digests are those of its bytes', async () => {
      const { store } = await fresh()
      const source = sourceOf(hello)
      const layer = await store.putLayer(source)
      await expectWhole(layer)
      expect(layer.diffId).toBe(digestOf(await bytesOf(source.tar())))
    })

    it('makes a layer larger than any buffer', async () => {
      const { store, name } = await fresh()
      const layer = await store.putLayer(sourceOf({ '/noise': noise(700_000) }, { piece: 65_537 }))
      expect(layer.size).toBeGreaterThan(690_000)
      const image = makeImage(configOf(), [layer])
      await store.putImage(image, [name('big')])
      const found = await pulled(store, name('big'))
      await expectWhole(found.layers[0])
    })

    it('makes a layer without any file', async () => {
      const { store } = await fresh()
      await expectWhole(await store.putLayer(sourceOf({})))
    })

    it('gives the same layer for the same tree, and does not read a source whose layer it has', async () => {
      const { store } = await fresh()
      const first = await store.putLayer(sourceOf(hello))
      const second = await store.putLayer(sourceOf(hello, { createdBy: 'again', piece: 7 }))
      expect(digestsOf(second)).toEqual(digestsOf(first))
      const known = { ...sourceOf(hello), known: digestsOf(first) }
      expect(digestsOf(await store.putLayer(known))).toEqual(digestsOf(first))
      expect(known.reads).toBe(0)
    })

    it('reads a source whose digests are known if it lacks the layer', async () => {
      const elsewhere = await fresh()
      const known = digestsOf(await elsewhere.store.putLayer(sourceOf(hello)))
      const { store } = await fresh()
      const layer = await store.putLayer({ ...sourceOf(hello), known })
      expect(digestsOf(layer)).toEqual(known)
      await expectWhole(layer)
    })

    it('takes its own layers back without reading them', async () => {
      const { store } = await fresh()
      const layer = await store.putLayer(sourceOf(hello))
      const unread: Layer = { ...layer, open: () => expect.unreachable('the layer was read') }
      expect(digestsOf(await store.putLayer(unread))).toEqual(digestsOf(layer))
    })

    it.each(['gzip', 'none', 'zstd'] as const)('takes a layer of another store: %s', async compression => {
      const { store, name } = await fresh()
      const foreign = await layerOf(hello, compression)
      const layer = await store.putLayer(foreign)
      expect(layer.diffId).toBe(foreign.diffId)
      await store.putImage(makeImage(configOf(), [layer]), [name('foreign')])
      const [found] = (await pulled(store, name('foreign'))).layers
      expect(found?.diffId).toBe(foreign.diffId)
      await expectWhole(found)
    })

    unless(exceptions.keepsBlobs)('keeps the bytes of a layer of another store', async () => {
      const { store } = await fresh()
      const foreign = await layerOf(hello)
      const layer = await store.putLayer(foreign)
      expect(digestsOf(layer)).toEqual(digestsOf(foreign))
      expect(await bytesOf(layer.open())).toEqual(await bytesOf(foreign.open()))
    })

    it.each([
      ['other bytes', (bytes: Buffer) => noise(bytes.length)],
      ['fewer bytes', (bytes: Buffer) => bytes.subarray(0, -1)],
      ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)])],
    ])('refuses a layer that has %s than its digest says, and takes the true one after it', async (_how, change) => {
      const { store } = await fresh()
      const layer = await layerOf(hello)
      const lying = withBytes(layer, change(await bytesOf(layer.open())))
      const error = await failureOf(store.putLayer(lying))
      expect(error).toBeInstanceOf(BaleError)
      await expectWhole(await store.putLayer(layer))
    })

    it('fails as its source fails, and works afterwards', async () => {
      const { store } = await fresh()
      const broken = new BaleError('filesystem', 'app/hello.txt vanished')
      const source = sourceOf(hello)
      const failing = {
        ...source,
        async *tar() {
          yield (await bytesOf(source.tar())).subarray(0, 600)
          throw broken
        },
      }
      expect(await failureOf(store.putLayer(failing))).toBe(broken)
      await expectWhole(await store.putLayer(source))
    })

    it('puts layers side by side, the same one among them', async () => {
      const { store, name } = await fresh()
      const trees: Files[] = [hello, other, hello, { '/big': noise(200_000) }, other, {}]
      const layers = await Promise.all(trees.map(tree => store.putLayer(sourceOf(tree))))
      expect(digestsOf(layers[2])).toEqual(digestsOf(layers[0]))
      await store.putImage(makeImage(configOf(), layers), [name('parallel')])
      const found = await pulled(store, name('parallel'))
      expect(found.layers.map(l => l.diffId)).toEqual(layers.map(l => l.diffId))
      await Promise.all(found.layers.map(expectWhole))
    })
  })

  describe(`${kind}: images`, () => {
    it('says what it is', async () => {
      const { store } = await fresh()
      expect(store.description).toMatch(/\S/)
    })

    it('answers undefined for a name that it does not have', async () => {
      const { store, name } = await fresh()
      expect(await store.pull(name('missing'), platform)).toBeUndefined()
      await putImage(store, hello, [name('present')])
      expect(await store.pull(name('missing'), platform)).toBeUndefined()
    })

    it('gives back the image under each of its names', async () => {
      const { store, name } = await fresh()
      const { image, published } = await putImage(store, hello, [name('one'), name('two'), name('three')])
      expect(published.imageId).toBe(image.imageId)
      expect(published.names).toHaveLength(3)
      expect(published.digest).toBe(keepsManifests ? image.digest : undefined)
      expect(published.manifestSize).toBe(keepsManifests ? image.manifestBytes.length : undefined)
      for (const text of ['one', 'two', 'three']) {
        const found = await pulled(store, name(text))
        if (keepsManifests) expect(found.digest).toBe(image.digest)
        expect(found.imageId).toBe(image.imageId)
        expect(Buffer.from(found.configBytes)).toEqual(Buffer.from(image.configBytes))
        expect(found.config).toEqual(image.config)
        expect(found.layers.map(l => l.diffId)).toEqual(image.layers.map(l => l.diffId))
        await Promise.all(found.layers.map(expectWhole))
      }
    })

    unless(exceptions.keepsManifests)('gives back the manifest byte by byte', async () => {
      const { store, name } = await fresh()
      const { image, published } = await putImage(store, hello, [name('one')])
      expect(published.digest).toBe(image.digest)
      const found = await pulled(store, name('one'))
      expect(Buffer.from(found.manifestBytes)).toEqual(Buffer.from(image.manifestBytes))
      expect(found.layers.map(digestsOf)).toEqual(image.layers.map(digestsOf))
    })

    it('keeps what it does not know in a config', async () => {
      const { store, name } = await fresh()
      const layer = await store.putLayer(sourceOf(hello))
      const config = configOf({ 'moby.buildkit.buildinfo.v1': 'e30=', history: [{ created_by: 'ünï' }] })
      await store.putImage(makeImage(config, [layer]), [name('keys')])
      expect((await pulled(store, name('keys'))).config).toMatchObject({
        'moby.buildkit.buildinfo.v1': 'e30=',
        history: [{ created_by: 'ünï' }],
      })
    })

    it('stores an image that has a layer twice', async () => {
      const { store, name } = await fresh()
      const layer = await store.putLayer(sourceOf(hello))
      const image = makeImage(configOf(), [layer, await store.putLayer(sourceOf(other)), layer])
      await store.putImage(image, [name('twice')])
      const found = await pulled(store, name('twice'))
      expect(found.layers.map(l => l.diffId)).toEqual(image.layers.map(l => l.diffId))
    })

    unless(exceptions.dockerFormat)("stores an image of Docker's media types", async () => {
      const { store, name } = await fresh()
      const image = makeImage(configOf(), [await store.putLayer(sourceOf(hello))], 'docker')
      const published = await store.putImage(image, [name('docker')])
      const found = await pulled(store, name('docker'))
      expect(found.manifest).toEqual(image.manifest)
      expect(found.digest).toBe(published.digest)
    })

    unless(exceptions.severalImages)('moves a name to the new image and leaves the others', async () => {
      const { store, name } = await fresh()
      const before = await putImage(store, hello, [name('latest'), name('v1')])
      const after = await putImage(store, other, [name('latest')])
      expect((await pulled(store, name('latest'))).imageId).toBe(after.published.imageId)
      const old = await pulled(store, name('v1'))
      expect(old.imageId).toBe(before.published.imageId)
      await Promise.all(old.layers.map(expectWhole))
    })

    it('builds an image on the layers of one that it has', async () => {
      const { store, name } = await fresh()
      await putImage(store, hello, [name('base')])
      const base = await pulled(store, name('base'))
      const layers = [
        ...(await Promise.all(base.layers.map(l => store.putLayer(l)))),
        await store.putLayer(sourceOf(other)),
      ]
      await store.putImage(makeImage(base.config, layers), [name('base')])
      const found = await pulled(store, name('base'))
      expect(found.layers).toHaveLength(2)
      await Promise.all(found.layers.map(expectWhole))
    })

    it('refuses an image whose layer it was never given, and moves no name', async () => {
      const { store, name } = await fresh()
      const before = await putImage(store, hello, [name('latest')])
      const image = makeImage(configOf(), [await layerOf({ '/never': 'put' })])
      expect(await failureOf(store.putImage(image, [name('latest'), name('new')]))).toBeInstanceOf(BaleError)
      expect((await pulled(store, name('latest'))).imageId).toBe(before.published.imageId)
      expect(await store.pull(name('new'), platform)).toBeUndefined()
    })

    it('reads a layer as often as it is asked, also in part', async () => {
      const { store, name } = await fresh()
      await putImage(store, { '/big': noise(300_000) }, [name('latest')])
      const [layer] = (await pulled(store, name('latest'))).layers
      for await (const chunk of layer!.open()) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      await Promise.all([expectWhole(layer), expectWhole(layer)])
    })
  })

  describe(`${kind}: platforms`, () => {
    it('gives the only image that a name has, whatever platform is asked for', async () => {
      const { store, name } = await fresh()
      const { published } = await putImage(store, hello, [name('latest')])
      const found = await store.pull(name('latest'), { os: 'linux', architecture: 's390x' })
      expect(found?.imageId).toBe(published.imageId)
    })

    unless(exceptions.indexes)('gives the image of the platform from an index, and names the platforms', async () => {
      const { store, name } = await fresh()
      const { index } = await putIndex(store, [name('index')])
      for (const { platform, image } of index.manifests) {
        expect((await store.pull(name('index'), platform!))?.digest).toBe(image.digest)
      }
      const error = await failureOf(store.pull(name('index'), { os: 'linux', architecture: 'riscv64' }))
      expect(error).toBeInstanceOf(BaleError)
      expect(String(error)).toMatch(/riscv64.*amd64/s)
    })

    unless(exceptions.indexes)(
      'gives back an index byte by byte, with its images, under each of its names',
      async () => {
        const { store, name, reopen } = await fresh()
        const { index, published } = await putIndex(store, [name('one'), name('two')])
        expect(published).toMatchObject({ digest: index.digest, manifestSize: index.bytes.length })
        expect(published.names).toHaveLength(2)
        const reader = (await reopen?.()) ?? store
        for (const text of ['one', 'two']) {
          const found = await reader.pullIndex(name(text))
          expect(Buffer.from(found!.bytes)).toEqual(Buffer.from(index.bytes))
          expect(found).toMatchObject({ digest: index.digest, others: [] })
          expect(found!.document).toEqual(index.document)
          expect(found!.manifests.map(m => m.platform)).toEqual(index.manifests.map(m => m.platform))
          expect(found!.manifests.map(m => m.image.digest)).toEqual(index.manifests.map(m => m.image.digest))
          await Promise.all(found!.manifests.flatMap(m => m.image.layers).map(expectWhole))
        }
      },
    )

    unless(exceptions.indexes)(
      'stores an index of images that have Docker media types as a manifest list',
      async () => {
        const { store, name } = await fresh()
        const layer = await store.putLayer(sourceOf(hello))
        const index = makeImageIndex([makeImage(configOf(), [layer], 'docker')])
        expect(index.document.mediaType).toBe(docker.index)
        await indexSink(store).putIndex(index, [name('list')])
        const found = await store.pullIndex(name('list'))
        expect(found?.digest).toBe(index.digest)
        expect(found?.document).toEqual(index.document)
      },
    )

    it('has no index where there is an image, or nothing', async () => {
      const { store, name } = await fresh()
      await putImage(store, hello, [name('latest')])
      expect(await store.pullIndex(name('latest'))).toBeUndefined()
      expect(await store.pullIndex(name('missing'))).toBeUndefined()
    })

    unless(exceptions.indexes)('moves a name from an image to an index and back', async () => {
      const { store, name } = await fresh()
      const before = await putImage(store, hello, [name('latest')])
      const { index } = await putIndex(store, [name('latest')])
      expect((await store.pullIndex(name('latest')))?.digest).toBe(index.digest)
      await putImage(store, hello, [name('latest')])
      expect(await store.pullIndex(name('latest'))).toBeUndefined()
      expect((await pulled(store, name('latest'))).digest).toBe(before.image.digest)
    })

    unless(exceptions.indexes)(
      'refuses an index of an image whose layer it was never given, and moves no name',
      async () => {
        const { store, name } = await fresh()
        const { index } = await putIndex(store, [name('latest')])
        const foreign = makeImageIndex([makeImage(configOf(), [await layerOf({ '/never': 'put in an index' })])])
        const error = await failureOf(indexSink(store).putIndex(foreign, [name('latest'), name('new')]))
        expect(error).toBeInstanceOf(BaleError)
        expect((await store.pullIndex(name('latest')))?.digest).toBe(index.digest)
        expect(await store.pull(name('new'), platform)).toBeUndefined()
      },
    )

    unless(exceptions.indexes)('refuses an index with entries that are no images, and moves no name', async () => {
      const { store, name } = await fresh()
      const { index } = await putIndex(store, [name('latest')])
      const other = { mediaType: oci.manifest, digest: digestOf('attestation'), size: 11 }
      const error = await failureOf(
        indexSink(store).putIndex({ ...index, others: [other] }, [name('latest'), name('new')]),
      )
      expect(String(error)).toContain(other.digest)
      expect(await store.pull(name('new'), platform)).toBeUndefined()
    })

    unless(exceptions.indexes)('gives up an index at once when it is told to before it starts', async () => {
      const { store, name } = await fresh()
      const { index } = await putIndex(store, [name('latest')])
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const signal = AbortSignal.abort(reason)
      expect(await failureOf(indexSink(store).putIndex(index, [name('aborted')], signal))).toBe(reason)
      expect(await failureOf(store.pullIndex(name('latest'), signal))).toBe(reason)
      expect(await store.pullIndex(name('aborted'))).toBeUndefined()
    })

    if (exceptions.indexes !== undefined) {
      it(`says that it holds no index: ${exceptions.indexes}`, async () => {
        const { store } = await fresh()
        expect(() => indexSink(store)).toThrow('cannot hold an index')
      })
    }
  })

  describe(`${kind}: failures`, () => {
    it('gives up at once when it is told to before it starts', async () => {
      const { store, name } = await fresh()
      const { image } = await putImage(store, hello, [name('latest')])
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const signal = AbortSignal.abort(reason)
      const source = sourceOf(other)
      expect(await failureOf(store.putLayer(source, signal))).toBe(reason)
      expect(await failureOf(store.putImage(image, [name('aborted')], signal))).toBe(reason)
      expect(await failureOf(store.pull(name('latest'), platform, signal))).toBe(reason)
      expect(source.reads).toBe(0)
      expect(await store.pull(name('aborted'), platform)).toBeUndefined()
    })

    it('stops in the middle of a layer and leaves nothing of it', async () => {
      const { store, name } = await fresh()
      const controller = new AbortController()
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const source = sourceOf({ '/big': noise(300_000) })
      const stopping = {
        ...source,
        async *tar() {
          const start = (await bytesOf(source.tar())).subarray(0, 200_000)
          yield start
          controller.abort(reason)
          // A source that never ends and does not look at the signal: the store has to.
          for (;;) yield* pieces(start, 10_000)
        },
      }
      expect(await failureOf(store.putLayer(stopping, controller.signal))).toBe(reason)
      const layer = await store.putLayer(source)
      await expectWhole(layer)
      await store.putImage(makeImage(configOf(), [layer]), [name('latest')])
      await expectWhole((await pulled(store, name('latest'))).layers[0])
    })

    it('stops in the middle of reading a layer', async () => {
      const { store, name } = await fresh()
      const big = await store.putLayer(sourceOf({ '/big': noise(3_000_000) }, { piece: 100_000 }))
      await store.putImage(makeImage(configOf(), [big]), [name('latest')])
      const [layer] = (await pulled(store, name('latest'))).layers
      const controller = new AbortController()
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const reading = async () => {
        for await (const _chunk of layer!.open(controller.signal)) controller.abort(reason)
      }
      expect(await failureOf(reading())).toBe(reason)
    })

    it('lets two writers of one name finish, and one of them last', async () => {
      const { store, name, reopen } = await fresh()
      const second = (await reopen?.()) ?? store
      const written = await Promise.all([
        putImage(store, hello, [name('latest')]),
        putImage(second, other, [name('latest')]),
      ])
      const found = await pulled(store, name('latest'))
      expect(written.map(w => w.published.imageId)).toContain(found.imageId)
      await Promise.all(found.layers.map(expectWhole))
    })

    it('shows a second reader what the first one wrote', async context => {
      const { store, name, reopen } = await fresh()
      if (reopen === undefined) return context.skip('this store lives in one process')
      const { published } = await putImage(store, hello, [name('latest')])
      const found = await pulled(await reopen(), name('latest'))
      expect(found.imageId).toBe(published.imageId)
      await Promise.all(found.layers.map(expectWhole))
    })

    it('notices a config that was changed where it is stored', async context => {
      const { store, name, corrupt } = await fresh()
      if (corrupt === undefined) return context.skip('nobody else can reach what this store holds')
      const { image } = await putImage(store, { '/spoilt': 'of no other test' }, [name('latest')])
      await corrupt(image.imageId)
      const error = await failureOf(store.pull(name('latest'), platform))
      expect(error).toBeInstanceOf(BaleError)
      expect(String(error)).toContain(image.imageId)
    })

    it('says that it can be written, and writes nothing for that', async () => {
      const { store, name } = await fresh()
      await store.checkWrite([name('one'), name('two')])
      expect(await store.pull(name('one'), platform)).toBeUndefined()
      await putImage(store, hello, [name('one'), name('two')])
      await store.checkWrite([name('one'), name('two')])
      await expectWhole((await pulled(store, name('one'))).layers[0])
    })

    it('says before any work that it cannot be written', async context => {
      const { name, unwritable } = await fresh()
      if (unwritable === undefined) return context.skip('whoever opens this store may write in it')
      const store = await unwritable()
      expect(await failureOf(store.checkWrite([name('latest')]))).toBeInstanceOf(BaleError)
    })
  })
}

async function putImage(store: ImageStore, files: Files, names: string[], config: Parameters<typeof configOf>[0] = {}) {
  const image = makeImage(configOf(config), [await store.putLayer(sourceOf(files))])
  return { image, published: await store.putImage(image, names) }
}

/** An index of an image for two platforms. */
async function putIndex(store: ImageStore, names: string[]) {
  const images = []
  for (const config of [{ architecture: 'amd64' }, { architecture: 'arm64', variant: 'v8' }]) {
    images.push(makeImage(configOf(config), [await store.putLayer(sourceOf({ '/platform': config.architecture }))]))
  }
  const index = makeImageIndex(images, { 'org.opencontainers.image.title': 'ünï' })
  return { index, published: await indexSink(store).putIndex(index, names) }
}

async function pulled(store: ImageStore, name: string): Promise<Image> {
  const image = await store.pull(name, platform)
  if (image === undefined) expect.unreachable(`${name} is not in ${store.description}`)
  return image
}

/** The bytes of the layer are what its digests say. */
async function expectWhole(layer: Layer | undefined): Promise<void> {
  if (layer === undefined) expect.unreachable('there is no layer')
  const bytes = await bytesOf(layer.open())
  expect(bytes).toHaveLength(layer.size)
  expect(digestOf(bytes)).toBe(layer.digest)
  expect(digestOf(uncompressed(bytes, layer.mediaType))).toBe(layer.diffId)
}

function digestsOf(layer: Layer | undefined) {
  if (layer === undefined) expect.unreachable('there is no layer')
  const { diffId, digest, size, mediaType } = layer
  return { diffId, digest, size, mediaType }
}
