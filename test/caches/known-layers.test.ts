import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BlobInfoCache } from '../../lifecycle/caches/blob-info-cache.ts'
import { silent } from '../../lifecycle/events.ts'
import type { LayerSource } from '../../lifecycle/image/layer.ts'
import { buildpackLayer } from '../../lifecycle/phases/export-layers.ts'
import { putKnownLayer } from '../../lifecycle/caches/known-layers.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const owner = { uid: 1000, gid: 1000 }

/** The layer of a buildpack, and one build after another that stores it. */
async function builds() {
  const dir = await temporaryDirectory()
  const layer = join(dir, 'layers/bp/modules')
  await mkdir(layer, { recursive: true })
  await writeFile(join(layer, 'a.js'), 'one')
  const store = memoryStore()
  const build = async (changes: { owner?: typeof owner; purpose?: string } = {}) => {
    const index = await BlobInfoCache.open(dir)
    const { source } = buildpackLayer(
      { host: join(dir, 'layers'), image: '/layers' },
      { id: 'bp', version: '1', api: '0.12' },
      { name: 'modules', dir: layer, exists: true, types: { launch: true, build: false, cache: true }, metadata: {} },
      changes.owner ?? owner,
      silent,
    )
    let reads = 0
    const counted: LayerSource = { ...source, tar: signal => (reads++, source.tar(signal)) }
    const put = (known: LayerSource) => store.putLayer(known)
    const { diffId } = await putKnownLayer(counted, changes.purpose ?? 'image gzip', index, put)
    await index.save()
    return { diffId, reads }
  }
  return { layer, build }
}

it('reads a layer once, as long as nothing in it changes', async () => {
  const { build } = await builds()
  const first = await build()
  expect(first.reads).toBe(1)
  expect(await build()).toEqual({ ...first, reads: 0 })
  expect(await build()).toEqual({ ...first, reads: 0 })
})

it('reads it again when a file has changed, whatever its times say', async () => {
  const { layer, build } = await builds()
  const first = await build()
  await writeFile(join(layer, 'a.js'), 'two')
  const second = await build()
  expect(second.reads).toBe(1)
  expect(second.diffId).not.toBe(first.diffId)
})

it('reads it again for another owner, and for another kind of layer', async () => {
  const { build } = await builds()
  const first = await build()
  const other = await build({ owner: { uid: 1001, gid: 1000 } })
  expect(other.reads).toBe(1)
  expect(other.diffId).not.toBe(first.diffId)
  expect((await build({ purpose: 'image zstd' })).reads).toBe(1)
})
