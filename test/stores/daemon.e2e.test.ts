import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeImage } from '../../lifecycle/image/image.ts'
import { daemonStore } from '../../lifecycle/stores/daemon.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
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
    { keepsBlobs: 'a daemon has layers uncompressed', dockerFormat: 'a daemon keeps no manifest' },
  )
}

let names = 0

async function place(daemon: Daemon) {
  const name = `localhost/place-${++names}:latest`
  const open = async (onTransfer = (_transfer: { total?: number }): void => {}): Promise<ImageStore> => {
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

  it('O06 says why it refuses an image, and moves no name', async () => {
    const { name, open } = await place(daemon)
    const before = await putBase(await open(), name)
    const store = await open()
    // A layer that is no tar: its digests are right, so that only the daemon can find out.
    const layer = await store.putLayer({
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
