import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BlobInfoCache } from '../../lifecycle/caches/blob-info-cache.ts'
import { BuildCache } from '../../lifecycle/caches/build-cache.ts'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { silent } from '../../lifecycle/events.ts'
import type { LayerSource } from '../../lifecycle/image/layer.ts'
import { buildpackLayer } from '../../lifecycle/phases/export-layers.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// A cached layer that was unpacked, as the phase binaries restore it in each build: its files are new, and its tar is known.

const owner = { uid: 1000, gid: 1000 }
const metadata = { buildpacks: [] }

async function project() {
  const dir = await temporaryDirectory()
  const cacheDir = join(dir, 'cache')
  const store = memoryStore()
  let builds = 0
  const open = async () => {
    const blobInfo = await BlobInfoCache.open(cacheDir)
    return new BuildCache({ layers: directoryCache(cacheDir, { index: blobInfo }), blobInfo }, silent)
  }
  /** A new layers directory, in which `change` does what a buildpack does; says how often the layer was read. */
  async function build(options: {
    from?: Awaited<ReturnType<typeof build>>
    change?: (layer: string) => Promise<unknown>
    /** Restores in a process of its own, as restorer does. */
    apart?: boolean
    records?: boolean
  }) {
    const layers = join(dir, `layers-${builds++}`)
    const layer = join(layers, 'bp/modules')
    await mkdir(join(layers, 'bp'), { recursive: true })
    const first = await open()
    if (options.from !== undefined) {
      await first.restore(options.from.diffId, { from: '/layers/bp/modules', to: layer, within: layers })
      if (options.records !== false) await first.recordRestored()
    }
    if (options.apart === true) await first.saveRecords()
    const cache = options.apart === true ? await open() : first
    await options.change?.(layer)
    await cache.begin()
    const { source } = buildpackLayer(
      { host: layers, image: '/layers' },
      { id: 'bp', version: '1', api: '0.12' },
      { name: 'modules', dir: layer, exists: true, types: { launch: true, build: false, cache: true }, metadata: {} },
      owner,
      silent,
    )
    let reads = 0
    const counted: LayerSource = { ...source, tar: signal => (reads++, source.tar(signal)) }
    const stored = await cache.storeLayer(counted, {}, known => store.putLayer(known))
    await cache.commit(async keep => {
      await keep(counted, { exported: stored })
      return metadata
    })
    return { diffId: stored.diffId, reads, layer }
  }
  return { build, open }
}

const make = async (layer: string) => {
  await mkdir(join(layer, 'lib'), { recursive: true })
  await writeFile(join(layer, 'lib/a.js'), 'one')
}

it.each([false, true])('are not read again where nothing has changed; restored by another process: %s', async apart => {
  const { build } = await project()
  const first = await build({ change: make })
  expect(first.reads).toBe(2)
  const second = await build({ from: first, apart })
  expect([second.diffId, second.reads]).toEqual([first.diffId, 0])
  const third = await build({ from: second, apart })
  expect([third.diffId, third.reads]).toEqual([first.diffId, 0])
})

it.each(
  Object.entries({
    'a file is written with the same bytes': async (layer: string) =>
      writeFile(join(layer, 'lib/a.js'), await readFile(join(layer, 'lib/a.js'))),
    'a file is added': (layer: string) => writeFile(join(layer, 'lib/b.js'), 'two'),
    'the whole is replaced by a copy': async (layer: string) => {
      await cp(layer, `${layer}-copy`, { recursive: true })
      await cp(`${layer}-copy`, layer, { recursive: true, force: true })
    },
  }),
)('are read again where %s', async (_what, change) => {
  const { build } = await project()
  const first = await build({ change: make })
  expect((await build({ from: first, change })).reads).toBeGreaterThan(0)
})

it('are read again where nobody has recorded them before the buildpacks ran', async () => {
  const { build } = await project()
  const first = await build({ change: make })
  const second = await build({ from: first, records: false })
  expect(second.diffId).toBe(first.diffId)
  expect(second.reads).toBeGreaterThan(0)
})

it('fail no build where they cannot be read', async () => {
  const { build, open } = await project()
  const first = await build({ change: make })
  const to = join(await temporaryDirectory(), 'modules')
  const cache = await open()
  await cache.restore(first.diffId, { from: '/layers/bp/modules', to })
  await rm(to, { recursive: true })
  await cache.recordRestored()
})
