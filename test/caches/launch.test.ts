import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { withLaunchCache } from '../../lifecycle/caches/launch.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { diffIdOf } from '../contracts/caches.ts'
import { failureOf } from '../helpers/failure.ts'
import { type Files, bytesOf, configOf, layerOf, noise, platform, sourceOf, tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: what the cache lacks, or has damaged, comes from the store with the right bytes and is kept anew.

const run = { '/etc/os-release': 'ID=debian' }
const app = { '/workspace/app': 'app' }
const other = { '/workspace/other': 'other' }

storeContract(
  'store with a launch cache',
  async () => {
    const dir = await temporaryDirectory()
    return {
      store: withLaunchCache(memoryStore(), join(dir, 'cache')),
      name: text => text,
      close: () => Promise.resolve(),
    }
  },
  { indexes: 'it is for daemons, which hold none' },
)

/** A store that has uncompressed layers, as a daemon does, and counts how many it was asked for. */
async function start() {
  const dir = join(await temporaryDirectory(), 'launch-cache')
  const memory = memoryStore({ compression: 'none' })
  const warnings: string[] = []
  const reads: string[] = []
  const counting: ImageStore = {
    ...memory,
    async pull(name, ...rest) {
      const image = await memory.pull(name, ...rest)
      const layers = image?.layers.map(layer => ({
        ...layer,
        open: (signal?: AbortSignal) => {
          reads.push(layer.diffId)
          return layer.open(signal)
        },
      }))
      return image && { ...image, layers: layers! }
    },
  }
  const open = () => withLaunchCache(counting, dir, { onWarning: text => warnings.push(text) })
  const cached = async () => (await readdir(join(dir, 'committed'))).filter(name => name.endsWith('.tar')).sort()
  return { dir, open, warnings, reads, cached }
}

/** What an export does: the run image's layers, those of the previous image, and new ones. */
async function build(store: ImageStore, made: readonly Files[], reused: readonly Files[] = []) {
  const layers = [await store.putLayer(await layerOf(run, 'none'))]
  for (const tree of reused) {
    const previous = await store.pull('app', platform)
    const diffId = await diffIdOf(tree)
    layers.push(await store.putLayer(previous!.layers.find(layer => layer.diffId === diffId)!))
  }
  for (const tree of made) layers.push(await store.putLayer(sourceOf(tree)))
  await store.putImage(makeImage(configOf(), layers), ['app'])
}

const names = async (...trees: Files[]) => (await Promise.all(trees.map(diffIdOf))).map(d => `${d}.tar`).sort()

it('keeps the layers that are made, uncompressed, and not the run image’s', async () => {
  const { dir, open, cached, warnings } = await start()
  await build(open(), [app, other])
  expect(await cached()).toEqual(await names(app, other))
  expect(await readFile(join(dir, 'committed', `${await diffIdOf(app)}.tar`))).toEqual(await tarOf(app))
  expect(warnings).toEqual([])
})

it('gives back what it keeps without asking the store', async () => {
  const { open, reads } = await start()
  await build(open(), [app])
  const [base, layer] = (await open().pull('app', platform))!.layers
  expect(await bytesOf(layer!.open())).toEqual(await tarOf(app))
  expect(reads).toEqual([])
  expect(await bytesOf(base!.open())).toEqual(await tarOf(run))
  expect(reads).toEqual([base!.diffId])
})

it('gives the bytes of a large layer to keep', async () => {
  const { open, reads } = await start()
  const large = { '/workspace/noise': noise(12_000_000) }
  await build(open(), [large])
  const layer = (await open().pull('app', platform))!.layers[1]!
  const chunks: Uint8Array[] = []
  for await (const chunk of layer.open()) chunks.push(chunk)
  expect(Buffer.concat(chunks).equals(await tarOf(large))).toBe(true)
  expect(reads).toEqual([])
})

it('keeps what the next image reuses and drops the rest', async () => {
  const { open, cached, reads } = await start()
  await build(open(), [app, other])
  await build(open(), [{ '/workspace/third': '' }], [app])
  expect(await cached()).toEqual(await names(app, { '/workspace/third': '' }))
  expect(reads).toEqual([])
})

it('reads what another lifecycle left there: tars, and no metadata', async () => {
  const { dir, open, reads } = await start()
  await build(open(), [app])
  await rm(dir, { recursive: true })
  await mkdir(join(dir, 'committed'), { recursive: true })
  await writeFile(join(dir, 'committed', `${await diffIdOf(app)}.tar`), await tarOf(app))
  const layer = (await open().pull('app', platform))!.layers[1]!
  expect(await bytesOf(layer.open())).toEqual(await tarOf(app))
  expect(reads).toEqual([])
})

it.each<[string, Uint8Array | string]>([
  ['C02 empty', ''],
  ['C04 damaged', Buffer.alloc(2048, 1)],
])('takes from the store what is %s in the cache', async (_how, bytes) => {
  const { dir, open, reads } = await start()
  await build(open(), [app])
  const path = join(dir, 'committed', `${await diffIdOf(app)}.tar`)
  await writeFile(path, bytes)
  const layer = (await open().pull('app', platform))!.layers[1]!
  expect(await bytesOf(layer.open())).toEqual(await tarOf(app))
  expect(reads).toEqual([layer.diffId])
  await build(open(), [], [app])
  expect(await readFile(path)).toEqual(await tarOf(app))
})

it('costs time, not the image, where it cannot be written', async () => {
  const { dir, open, warnings } = await start()
  await writeFile(dir, 'a file')
  await build(open(), [app])
  expect((await open().pull('app', platform))!.layers).toHaveLength(2)
  expect(warnings).toHaveLength(1)
})

it('keeps nothing of an image that could not be stored', async () => {
  const { dir, open } = await start()
  const store = open()
  const layer = await store.putLayer(sourceOf(app))
  const missing = await layerOf(other, 'none')
  await failureOf(store.putImage(makeImage(configOf(), [layer, missing]), ['app']))
  await expect(readdir(dir)).rejects.toMatchObject({ code: 'ENOENT' })
})
