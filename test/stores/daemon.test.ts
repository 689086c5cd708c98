import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { copyImage } from '../../lifecycle/stores/copy.ts'
import { daemonStore } from '../../lifecycle/stores/daemon/store.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { failureOf } from '../helpers/failure.ts'
import { FakeDaemon, type Misbehaviour } from '../helpers/fake-daemon.ts'
import { type Files, bytesOf, configOf, layerOf, noise, platform, sourceOf, tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

storeContract(
  'daemon (fake)',
  async () => {
    const daemon = await FakeDaemon.start()
    const tmpDir = await temporaryDirectory()
    const open = () => daemonStore({ socketPath: daemon.socketPath, tmpDir })
    return {
      store: open(),
      name: text => `localhost/test/${text}:latest`,
      close: () => Promise.resolve(),
      reopen: () => Promise.resolve(open()),
      unwritable: () => Promise.resolve(daemonStore({ socketPath: join(tmpDir, 'none.sock'), tmpDir })),
    }
  },
  {
    keepsBlobs: 'a daemon has layers uncompressed',
    keepsManifests: 'a daemon keeps none',
    dockerFormat: 'a daemon keeps no manifest',
    indexes: 'its API has none',
  },
)

async function start() {
  const daemon = await FakeDaemon.start()
  const tmpDir = await temporaryDirectory()
  const open = () => daemonStore({ socketPath: daemon.socketPath, tmpDir })
  return { daemon, tmpDir, open, store: open() }
}

async function put(store: ImageStore, names: string[], ...trees: Files[]) {
  const layers = []
  for (const tree of trees) layers.push(await store.putLayer(sourceOf(tree)))
  const image = makeImage(configOf({ created: '2026-01-01T00:00:00Z' }), layers)
  return { image, published: await store.putImage(image, names) }
}

describe('DOCKER_HOST', () => {
  it('may be an address: the daemon of another machine', async () => {
    const { daemon, tmpDir } = await start()
    const server = createServer(client => client.pipe(connect(daemon.socketPath)).pipe(client))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const socketPath = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
    const store = daemonStore({ socketPath, tmpDir })
    const { image } = await put(store, ['app'], { '/app': 'app' })
    expect((await store.pull('app', platform))?.imageId).toBe(image.imageId)
  })
  it.each(['ssh://machine', 'npipe:////./pipe/docker_engine'])('%s is refused by name', async socketPath => {
    const store = daemonStore({ socketPath, tmpDir: await temporaryDirectory() })
    expect(await failureOf(store.pull('app', platform))).toMatchObject({
      code: 'daemon',
      where: `DOCKER_HOST ${socketPath}`,
    })
  })
})

const base = { '/base': noise(50_000) }
const app = { '/app': 'app' }

describe('layers that the daemon has', () => {
  /** A build as it goes on: pulls a base image, puts its layers and one more. */
  async function buildOn(store: ImageStore, name: string, tree: Files) {
    const pulled = await store.pull(name, platform)
    const layers = [...pulled!.layers]
    for (const [i, layer] of layers.entries()) layers[i] = await store.putLayer(layer)
    const image = makeImage(pulled!.config, [...layers, await store.putLayer(sourceOf(tree))])
    return store.putImage(image, ['app'])
  }

  it('are not sent', async () => {
    const { daemon, store, open } = await start()
    await put(store, ['base'], base, { '/second': 'layer' })
    await buildOn(open(), 'base', app)
    expect(daemon.loaded[1]).toBe((await tarOf(app)).length)
    const found = await open().pull('app', platform)
    expect(await bytesOf(found!.layers[0]!.open())).toEqual(await tarOf(base))
    expect(await bytesOf(found!.layers[2]!.open())).toEqual(await tarOf(app))
  })

  it('are not read either, and be it from another store', async () => {
    const { store, open } = await start()
    await put(store, ['app'], base, app)
    const next = open()
    await next.pull('app', platform) // the previous image
    const elsewhere = { ...(await layerOf(base)), open: () => expect.unreachable('the layer was read') }
    const known = { ...sourceOf(app), known: await layerOf(app) }
    const layers = [await next.putLayer(elsewhere), await next.putLayer(known)]
    expect(known.reads).toBe(0)
    await next.putImage(makeImage(configOf({ author: 'somebody' }), layers), ['app'])
    expect((await open().pull('app', platform))?.config.author).toBe('somebody')
  })

  it('are sent all the same if it has lost them since', async () => {
    const { daemon, store, open } = await start()
    await put(store, ['base'], base)
    const late = open()
    const pulled = await late.pull('base', platform)
    const layers = [await late.putLayer(pulled!.layers[0]!), await late.putLayer(sourceOf(app))]
    daemon.removeImages()
    await late.putImage(makeImage(configOf(), layers), ['app'])
    const found = await open().pull('app', platform)
    expect(await bytesOf(found!.layers[0]!.open())).toEqual(await tarOf(base))
  })

  it('are sent where layers are not kept by their chains', async () => {
    const { daemon, store, open } = await start()
    daemon.engine = 'Podman Engine'
    await put(store, ['base'], base)
    await buildOn(open(), 'base', app)
    expect(daemon.loaded[1]).toBe((await tarOf(base)).length + (await tarOf(app)).length)
  })

  it('count from the first one on: above a new layer, an old one is another', async () => {
    const { daemon, store, open } = await start()
    await put(store, ['base'], base, app)
    const next = open()
    const pulled = await next.pull('base', platform)
    const [first, second] = await Promise.all(pulled!.layers.map(l => next.putLayer(l)))
    const between = await next.putLayer(sourceOf({ '/between': '' }))
    await next.putImage(makeImage(configOf(), [first!, between, second!]), ['app'])
    expect(daemon.loaded[1]).toBe((await tarOf({ '/between': '' })).length + (await tarOf(app)).length)
  })
})

describe('an image as the daemon describes it', () => {
  const labels = { a: '1' }
  const config = configOf({
    created: '2026-01-01T00:00:00Z',
    variant: 'v2',
    config: { Env: ['A=b'], User: '1000', Labels: labels, Entrypoint: ['/x'], ExposedPorts: { '80/tcp': {} } },
    history: [
      { created: '2026-01-01T00:00:00Z', created_by: 'base' },
      { created: '2026-01-02T00:00:00Z', created_by: 'app' },
    ],
  })
  async function readLazily() {
    const started = await start()
    const layers = [await started.store.putLayer(sourceOf(base)), await started.store.putLayer(sourceOf(app))]
    const { imageId } = await started.store.putImage(makeImage(config, layers), ['app'])
    started.daemon.requests.length = 0
    const open = () => started.open().lazy
    return { ...started, open, imageId }
  }
  const saves = (daemon: FakeDaemon) => daemon.requests.filter(r => r.endsWith('/get'))

  it('says what its config says, and has its ID', async () => {
    const { daemon, open, imageId } = await readLazily()
    const image = (await open().pull('app', platform))!
    expect(image.imageId).toBe(imageId)
    const { rootfs: _rootfs, ...rest } = config
    expect(image.config).toEqual({ ...rest, rootfs: { type: 'layers', diff_ids: image.layers.map(l => l.diffId) } })
    expect(saves(daemon)).toEqual([])
  })

  it('is saved when a layer is read, and only once', async () => {
    const { daemon, open } = await readLazily()
    const { layers } = (await open().pull('app', platform))!
    expect(await bytesOf(layers[0]!.open())).toEqual(await tarOf(base))
    expect(await bytesOf(layers[1]!.open())).toEqual(await tarOf(app))
    expect(saves(daemon)).toHaveLength(1)
  })

  it('gives the bytes of a large layer to keep', async () => {
    const started = await start()
    const large = { '/noise': noise(12_000_000) }
    await started.store.putImage(makeImage(configOf(), [await started.store.putLayer(sourceOf(large))]), ['large'])
    const layer = (await started.open().lazy.pull('large', platform))!.layers[0]!
    const chunks: Uint8Array[] = []
    for await (const chunk of layer.open()) chunks.push(chunk)
    expect(Buffer.concat(chunks).equals(await tarOf(large))).toBe(true)
  })

  it('is built upon without being saved or sent back', async () => {
    const { daemon, open } = await readLazily()
    const store = open()
    const image = (await store.pull('app', platform))!
    const more = { '/more': 'more' }
    const layers = []
    for (const layer of image.layers) layers.push(await store.putLayer(layer))
    layers.push(await store.putLayer(sourceOf(more)))
    const published = await store.putImage(makeImage(image.config, layers), ['next'])
    expect(published).not.toHaveProperty('digest')
    expect(saves(daemon)).toEqual([])
    expect(daemon.loaded.at(-1)).toBe((await tarOf(more)).length)
    expect((await open().pull('next', platform))!.layers).toHaveLength(3)
  })

  it.each(['its layers are not kept by their chains', 'it has lost them since'])(
    'is saved and sent where %s',
    async how => {
      const { daemon, open } = await readLazily()
      if (how.startsWith('its')) daemon.engine = 'Podman Engine'
      const store = open()
      const image = (await store.pull('app', platform))!
      const layers = await Promise.all(image.layers.map(layer => store.putLayer(layer)))
      if (how.startsWith('it ')) {
        await bytesOf(image.layers[0]!.open()) // somebody has read it meanwhile
        daemon.removeImages()
      }
      await store.putImage(makeImage(image.config, layers), ['next'])
      expect(saves(daemon)).toHaveLength(1)
      expect(daemon.loaded.at(-1)).toBe((await tarOf(base)).length + (await tarOf(app)).length)
    },
  )

  it('takes bytes from whoever gave the layer, rather than from the daemon', async () => {
    const { daemon, open } = await readLazily()
    daemon.engine = 'Podman Engine'
    const store = open()
    await store.pull('app', platform) // the previous image
    const layers = [await store.putLayer(await layerOf(base)), await store.putLayer(await layerOf(app, 'zstd'))]
    await store.putImage(makeImage(config, layers), ['next'])
    expect(saves(daemon)).toEqual([])
    const found = (await open().pull('next', platform))!
    expect(await bytesOf(found.layers[1]!.open())).toEqual(await tarOf(app))
  })

  it('can be copied to a store that needs to know sizes', async () => {
    const { open } = await readLazily()
    const memory = memoryStore()
    await copyImage((await open().pull('app', platform))!, memory, ['copy'])
    const copy = (await memory.pull('copy', platform))!
    expect(copy.config.config).toEqual(config.config)
    expect(copy.layers[0]!.size).toBe((await bytesOf(copy.layers[0]!.open())).length)
  })

  it('has no history where that cannot be matched with its layers', async () => {
    const { store, open } = await readLazily()
    const layers = [await store.putLayer(sourceOf(base))]
    const history = [{ created_by: 'one' }, { created_by: 'env', empty_layer: true }]
    await store.putImage(makeImage({ ...config, history }, layers), ['some'])
    expect((await open().pull('some', platform))!.config.history).toEqual([{ created_by: 'one' }])
    await store.putImage(makeImage({ ...config, history: [] }, layers), ['none'])
    expect((await open().pull('none', platform))!.config.history).toBeUndefined()
  })

  it.each<[string, unknown]>([
    ['no list', {}],
    ['a list of other things', [1]],
  ])('is an error where the history is %s', async (_what, answer) => {
    const { daemon, open } = await readLazily()
    daemon.misbehave = (request, response) => {
      if (!request.url?.endsWith('/history')) return false
      response.end(JSON.stringify(answer))
      return true
    }
    expect(await failureOf(open().pull('app', platform))).toMatchObject({ code: 'daemon' })
  })
})

describe('an image', () => {
  it('is pulled once, by name or by ID', async () => {
    const { daemon, store, open } = await start()
    const { image } = await put(store, ['one', 'two'], base)
    const reader = open()
    for (const name of ['one', 'two', image.imageId]) {
      expect((await reader.pull(name, platform))?.imageId).toBe(image.imageId)
    }
    expect(daemon.requests.filter(r => r.endsWith('/get'))).toEqual([`GET /images/${image.imageId}/get`])
  })

  it('has names that Docker and Podman agree on, and the ID that Docker gave it', async () => {
    const { daemon, store } = await start()
    const { image, published } = await put(store, ['hello', 'ghcr.io/a/b:1'], app)
    expect(published.names).toEqual(['docker.io/library/hello:latest', 'ghcr.io/a/b:1'])
    expect(published.imageId).toBe(image.imageId)
    for (const name of published.names) expect(daemon.has(name)).toBe(true)
  })

  it('can go without a name', async () => {
    const { store } = await start()
    const { image } = await put(store, [], app)
    expect((await store.pull(image.imageId, platform))?.imageId).toBe(image.imageId)
  })

  it.each(['Hello', 'hello/../../version', `hello@sha256:${'0'.repeat(64)}`, 'a b', 'a\r\nX: y'])(
    'R42 cannot be called %j',
    async name => {
      const { daemon, store } = await start()
      expect(await failureOf(store.checkWrite([name]))).toMatchObject({ code: 'arguments' })
      expect(daemon.requests).toEqual([])
    },
  )

  it('is told of as it moves', async () => {
    const { daemon, tmpDir } = await start()
    const seen: { name: string; done: number; total?: number }[] = []
    const store = daemonStore({ socketPath: daemon.socketPath, tmpDir, onTransfer: t => seen.push(t) })
    const { image } = await put(store, ['hello'], base)
    expect(seen.at(-1)).toMatchObject({ name: 'docker.io/library/hello:latest', total: (await tarOf(base)).length })
    await store.pull('hello', platform)
    expect(seen.at(-1)?.name).toBe(image.imageId)
  })

  it('leaves nothing but whole files in the temporary directory when it cannot be pulled', async () => {
    const { daemon, tmpDir, store, open } = await start()
    await put(store, ['hello'], base)
    daemon.misbehave = cutOff('/get')
    const before = await readdir(tmpDir)
    expect(await failureOf(open().pull('hello', platform))).toBeInstanceOf(BaleError)
    expect(await readdir(tmpDir)).toEqual(before)
    daemon.misbehave = () => false
    expect(await open().pull('hello', platform)).toBeDefined()
  })
})

/** Answers requests to `path` with the start of an archive, then closes the connection. */
const cutOff =
  (path: string): Misbehaviour =>
  (request, response) => {
    if (request.url?.endsWith(path) !== true) return false
    response.writeHead(200, { 'content-length': '100000' })
    response.write(Buffer.alloc(2000), () => response.destroy())
    return true
  }

const answer =
  (path: string, status: number, body: string | Buffer): Misbehaviour =>
  (request, response) => {
    if (request.url?.includes(path) !== true) return false
    request.resume()
    response.writeHead(status).end(body)
    return true
  }

describe('failures', () => {
  it.each<[string, Misbehaviour, RegExp]>([
    [
      'in its progress',
      answer('/load', 200, '{"stream":"…"}\n{"error":"no space left","errorDetail":{"message":"no space left"}}\n'),
      /no space left/,
    ],
    ['without a newline', answer('/load', 200, '{"error":"no space left"}'), /no space left/],
    ['by its status', answer('/load', 500, '{"message":"layer does not exist"}'), /answered 500: layer does not exist/],
    [
      'as Podman does',
      answer('/load', 500, '{"cause":"x","message":"payload does not match","response":500}'),
      /payload does not match/,
    ],
    [
      'in plain text',
      answer('/load', 403, 'authorization denied by plugin\n'),
      /answered 403: authorization denied by plugin/,
    ],
    ['with escapes', answer('/load', 400, '{"message":"\\u001b[2Jbad\\nline"}'), /\\u001b\[2Jbad\\u000aline/],
    [
      'by closing the connection',
      (request, response) => request.url?.includes('/load') === true && !!response.destroy(),
      /closed the connection/,
    ],
  ])('O06 names the words of a daemon that refuses an image: %s', async (_how, misbehave, words) => {
    const { daemon, store, open } = await start()
    await put(store, ['hello'], base)
    daemon.misbehave = misbehave
    const error = await failureOf(put(open(), ['hello', 'new'], app))
    expect(error).toMatchObject({ code: 'daemon', message: expect.stringMatching(words) as string })
    daemon.misbehave = () => false
    expect(daemon.has('docker.io/library/new:latest')).toBe(false)
    expect(await bytesOf((await open().pull('hello', platform))!.layers[0]!.open())).toEqual(await tarOf(base))
  })

  it('O06 is not fooled by a daemon that says nothing and stores nothing', async () => {
    const { daemon, store } = await start()
    daemon.misbehave = answer('/load', 200, '')
    expect(await failureOf(put(store, ['hello'], app))).toMatchObject({
      message: expect.stringContaining('does not have') as string,
    })
  })

  it.each<[string, Misbehaviour, RegExp]>([
    ['answers garbage', answer('/json', 200, 'garbage'), /not JSON/],
    ['answers without an ID', answer('/json', 200, '{"Id":"../../x"}'), /no Id/],
    ['answers null', answer('/json', 200, 'null'), /no Id/],
    ['answers endlessly', answer('/json', 200, Buffer.alloc(17 * 1024 * 1024, ' ')), /more than/],
    [
      'saves another image',
      answer('/json', 200, JSON.stringify({ Id: `sha256:${'1'.repeat(64)}`, RootFS: { Layers: ['x'] } })),
      /answered 404/,
    ],
    ['saves no archive', answer('/get', 200, 'garbage'), /cannot be read/],
    ['saves half an archive', cutOff('/get'), /closed the connection/],
  ])('says what is wrong with a daemon that %s', async (_how, misbehave, words) => {
    const { daemon, store, open } = await start()
    await put(store, ['hello'], app)
    daemon.misbehave = misbehave
    expect(await failureOf(open().pull('hello', platform))).toMatchObject({
      message: expect.stringMatching(words) as string,
    })
  })

  it('says how to do without a daemon that is not there', async () => {
    const tmpDir = await temporaryDirectory()
    await writeFile(join(tmpDir, 'file'), '')
    await mkdir(join(tmpDir, 'directory'))
    for (const name of ['none.sock', 'file', 'file/none.sock']) {
      const store = daemonStore({ socketPath: join(tmpDir, name), tmpDir })
      for (const attempt of [() => store.checkWrite(['hello']), () => store.pull('hello', platform)]) {
        const error = (await failureOf(attempt)) as BaleError
        expect(error).toMatchObject({ code: 'daemon', where: expect.stringContaining(join(tmpDir, name)) as string })
        expect(error.fix).toMatch(/start it|give the path/)
      }
    }
  })

  it('stops a save and a load in their midst', async () => {
    const { daemon, store, open } = await start()
    await put(store, ['hello'], base)
    const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
    for (const path of ['/get', '/load']) {
      const controller = new AbortController()
      daemon.misbehave = request => {
        const hangs = request.url?.includes(path) === true
        if (hangs) setTimeout(() => controller.abort(reason), 20)
        return hangs
      }
      const other = open()
      const attempt =
        path === '/get' ? other.pull('hello', platform, controller.signal) : loadWith(other, controller.signal)
      expect(await failureOf(attempt)).toBe(reason)
    }
  })

  async function loadWith(store: ImageStore, signal: AbortSignal) {
    const layer = await store.putLayer(sourceOf(app), signal)
    return store.putImage(makeImage(configOf(), [layer]), ['new'], signal)
  }
})
