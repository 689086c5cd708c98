import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { putForPlatform } from '../../lifecycle/platform/stack.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { configOf, layerOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const name = 'bale.local/stacks/stack:run'
const { signal } = new AbortController()

async function store() {
  const dir = await temporaryDirectory()
  const layout = layoutStore(dir)
  const put = async (architecture: string, content: string) => {
    const layer = await layout.putLayer(await layerOf({ '/x': content }))
    const image = makeImage(configOf({ architecture }), [layer])
    await putForPlatform(image, name, layout, signal)
    return image
  }
  const digests = async () => (await layout.pullIndex(name))?.manifests.map(({ image }) => image.digest)
  return { dir, layout, put, digests }
}

describe('the run image of a stack', () => {
  it('is an image while there is one platform', async () => {
    const { layout, put, digests } = await store()
    await put('amd64', '1')
    const image = await put('amd64', '2')
    expect(await digests()).toBeUndefined()
    expect((await layout.pull(name, { os: 'linux', architecture: 'amd64' }))?.digest).toBe(image.digest)
  })

  it('is an index for several, whichever came first, in which each is replaced by its own', async () => {
    const { put, digests } = await store()
    const arm64 = await put('arm64', '1')
    const amd64 = await put('amd64', '1')
    expect(await digests()).toEqual([amd64.digest, arm64.digest])
    const newer = await put('arm64', '2')
    expect(await digests()).toEqual([amd64.digest, newer.digest])
  })

  it('takes the place of damaged ones', async () => {
    const { dir, put, digests } = await store()
    const amd64 = await put('amd64', '1')
    await put('arm64', '1')
    await rm(join(dir, 'blobs/sha256', hexOf(amd64.digest)))
    const image = await put('arm64', '2')
    expect(await digests()).toBeUndefined()
    expect(image.config.architecture).toBe('arm64')
  })
})
