import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeImage } from '../../lifecycle/image/image.ts'
import { withLaunchCache } from '../../lifecycle/caches/launch.ts'
import { type DaemonStore, daemonStore } from '../../lifecycle/stores/daemon/store.ts'
import type { ImageStore, OnTransfer } from '../../lifecycle/stores/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { type Daemon, request, startDocker, startPodman } from '../helpers/daemons.ts'
import { bytesOf, configOf, layerOf, noise, platform, sourceOf, tarOf } from '../helpers/images.ts'
import { suiteWith } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const docker = await startDocker()
const podman = await startPodman()

afterAll(async () => {
  for (const daemon of [docker, podman]) if (daemon.state === 'available') await daemon.value.stop()
})

type Transfer = Parameters<OnTransfer>[0]

const base = { '/base': noise(200_000) }
const app = { '/app': 'app' }

suiteWith('Docker', docker, daemon => {
  contract('Docker', daemon)
  common(daemon)

  it('is not sent the layers that it has', async () => {
    const { name, open } = await place(daemon)
    await putBase(await open(), name)
    const moved: number[] = []
    const store = await open(transfer => moved.push(transfer.total ?? 0))
    const pulled = await store.pull(name, platform)
    const layers = [await store.putLayer(pulled!.layers[0]!), await store.putLayer(sourceOf(app))]
    moved.length = 0
    await store.putImage(makeImage(configOf({ author: 'x' }), layers), [name])
    expect(Math.max(...moved)).toBe((await tarOf(app)).length)
    const found = await (await open()).pull(name, platform)
    expect(await bytesOf(found!.layers[0]!.open())).toEqual(await tarOf(base))
    expect(await bytesOf(found!.layers[1]!.open())).toEqual(await tarOf(app))
  })
})

suiteWith('a second build to Docker', docker, daemon => {
  it('fetches nothing and sends what is new', async () => {
    const dir = await temporaryDirectory()
    const changed = { '/workspace/app': noise(5_000) }
    const sent: number[] = []
    for (const tree of [app, changed]) {
      const { name, open } = await place(daemon, 'second')
      const run = `${name}-run`
      // Another process each time, as phase binaries are.
      const progress = new Map<string, number>()
      const daemonStore = await open(({ id, done }) => progress.set(id, done))
      const store = withLaunchCache(daemonStore.lazy, join(dir, 'launch-cache'))
      if (sent.length === 0) await putBase(await open(), run)
      const [previous, runImage] = [await store.pull(name, platform), await store.pull(run, platform)]
      expect(previous === undefined).toBe(sent.length === 0)
      const layers = [await store.putLayer(runImage!.layers[0]!)]
      layers.push(await store.putLayer(previous?.layers[1] ?? sourceOf({ '/layers/big': noise(300_000) })))
      layers.push(await store.putLayer(sourceOf(tree)))
      await store.putImage(makeImage(runImage!.config, layers), [name])
      sent.push([...progress.values()].reduce((sum, bytes) => sum + bytes, 0))
    }
    // Tar headers, a config and a list of layers besides.
    const [first, second] = sent as [number, number]
    expect(first).toBeGreaterThan(300_000)
    expect(first).toBeLessThan(300_000 + 200_000)
    expect(second).toBeGreaterThan(5_000)
    expect(second).toBeLessThan((await tarOf(changed)).length + 12 * 1024)
  })
})

suiteWith('Podman', podman, daemon => {
  contract('Podman', daemon)
  common(daemon)
})

function contract(kind: string, daemon: Daemon): void {
  let places = 0
  storeContract(
    kind,
    async () => {
      const tmpDir = await mkdtemp(join(tmpdir(), 'bale-daemon-'))
      const prefix = `localhost/contract-${++places}`
      const open = () => daemonStore({ socketPath: daemon.socketPath, tmpDir })
      return {
        store: open(),
        name: text => `${prefix}/${text}:latest`,
        close: () => rm(tmpDir, { recursive: true, force: true }),
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
}

let names = 0

async function place(daemon: Daemon, own?: string) {
  const name = `localhost/${own ?? `place-${++names}`}:latest`
  const open = async (onTransfer = (_transfer: Transfer): void => {}): Promise<DaemonStore> => {
    const tmpDir = await temporaryDirectory()
    return daemonStore({ socketPath: daemon.socketPath, tmpDir, onTransfer })
  }
  return await Promise.resolve({ name, open })
}

async function putBase(store: ImageStore, name: string) {
  const image = makeImage(configOf({ author: name }), [await store.putLayer(sourceOf(base))])
  await store.putImage(image, [name])
  return image
}

/** What both do beyond the contract. */
function common(daemon: Daemon): void {
  it('sends all layers if the daemon has lost those that it had', async () => {
    const { name, open } = await place(daemon)
    const unique = { '/unique': noise(1000, name) }
    const first = await open()
    await first.putImage(makeImage(configOf(), [await first.putLayer(sourceOf(unique))]), [name])
    const late = await open()
    const pulled = await late.pull(name, platform)
    const layers = [await late.putLayer(pulled!.layers[0]!), await late.putLayer(sourceOf(app))]
    expect(await request(daemon, 'DELETE', `/images/${name}?force=1`)).toBe(200)
    expect(await late.pull(name, platform)).toBeUndefined()
    await late.putImage(makeImage(configOf(), layers), [name])
    const found = await (await open()).pull(name, platform)
    expect(await bytesOf(found!.layers[0]!.open())).toEqual(await tarOf(unique))
  })

  it('describes an image as it is, and fetches its layers when they are read', async () => {
    const { name, open } = await place(daemon)
    const first = await open()
    const config = configOf({
      created: '2026-01-01T00:00:00Z',
      config: {
        User: '1000:1000',
        Env: ['A=b', 'PATH=/bin'],
        Entrypoint: ['/cnb/process/web'],
        WorkingDir: '/workspace',
        Labels: { 'io.buildpacks.lifecycle.metadata': '{"runImage":{}}' },
      },
      history: [
        { created: '2026-01-01T00:00:00Z', created_by: 'base' },
        { created: '2026-01-01T00:00:00Z', created_by: 'app' },
      ],
    })
    const layers = [await first.putLayer(sourceOf(base)), await first.putLayer(sourceOf(app))]
    const { imageId } = await first.putImage(makeImage(config, layers), [name])
    const image = (await (await open()).lazy.pull(name, platform))!
    expect(image.imageId).toBe(imageId)
    expect(image.config).toMatchObject({ ...config, rootfs: { diff_ids: layers.map(l => l.diffId) } })
    expect(await bytesOf(image.layers[1]!.open())).toEqual(await tarOf(app))
  })

  it('builds on an image that it reads lazily', async () => {
    const { name, open } = await place(daemon)
    await putBase(await open(), name)
    const { lazy } = await open()
    const image = (await lazy.pull(name, platform))!
    const layers = [await lazy.putLayer(image.layers[0]!), await lazy.putLayer(sourceOf(app))]
    const { imageId } = await lazy.putImage(makeImage(image.config, layers), [name])
    const found = (await (await open()).pull(imageId, platform))!
    expect(await bytesOf(found.layers[0]!.open())).toEqual(await tarOf(base))
    expect(await bytesOf(found.layers[1]!.open())).toEqual(await tarOf(app))
  })

  it('O06 says why it refuses an image, and moves no name', async () => {
    const { name, open } = await place(daemon)
    const before = await putBase(await open(), name)
    const store = await open()
    // A layer that is not a tar: its digests are right, so that only the daemon can find out.
    const layer = await store.putLayer({
      kind: 'source' as const,
      createdBy: 'noise',
      async *tar() {
        yield await Promise.resolve(noise(10_000))
      },
    })
    const image = makeImage(configOf(), [layer])
    await expect(store.putImage(image, [name])).rejects.toMatchObject({ code: 'daemon' })
    expect((await (await open()).pull(name, platform))?.imageId).toBe(before.imageId)
  })

  it('takes an image from a registry with compressed layers', async () => {
    const { name, open } = await place(daemon)
    const store = await open()
    const layers = [await store.putLayer(await layerOf(base, 'gzip')), await store.putLayer(await layerOf(app, 'zstd'))]
    const published = await store.putImage(makeImage(configOf(), layers), [name])
    const found = await (await open()).pull(published.imageId, platform)
    expect(await bytesOf(found!.layers[1]!.open())).toEqual(await tarOf(app))
  })
}
