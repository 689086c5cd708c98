// The crash tests run this as a process. It does its work, and is killed halfway through a given write.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { interceptWrites } from './faults.ts'
import { type Files, configOf, noise, sourceOf } from './images.ts'

const [scenario, dir, killAt] = process.argv.slice(2) as [string, string, string]
const source = (files: Files) => sourceOf(files, { piece: 4096 })
const kept = { '/layers/a/kept': 'kept' }
const added = { '/layers/a/added': noise(1000) }

async function putImage(store: ImageStore): Promise<void> {
  const layers = [await store.putLayer(source(kept)), await store.putLayer(source(added))]
  await store.putImage(makeImage(configOf(), layers), ['new', 'latest'])
}

const scenarios: Record<string, () => Promise<void>> = {
  async cache() {
    await using writer = await directoryCache(dir).begin()
    const put = async (files: Files) => (await writer.put(source(files))).diffId
    const layer = (sha: string) => ({ sha, data: {}, launch: false, build: true, cache: true })
    const layers = { kept: layer(await put(kept)), added: layer(await put(added)) }
    await writer.commit({ buildpacks: [{ key: 'a', version: '2', layers }] })
  },
  layout: () => putImage(layoutStore(dir)),
  async archive() {
    await mkdir(join(dir, 'tmp'), { recursive: true })
    await putImage(ociArchiveStore(join(dir, 'image.tar'), { tmpDir: join(dir, 'tmp') }))
  },
}

await interceptWrites(async call => {
  if (call.number !== Number(killAt)) return
  await call.half()
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
})
await scenarios[scenario]!()
