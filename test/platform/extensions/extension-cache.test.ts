import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Image, makeImage } from '../../../lifecycle/image/image.ts'
import { keep, take } from '../../../lifecycle/platform/extensions/extension-cache.ts'
import { extenderInSandbox } from '../../../lifecycle/platform/extensions/extension-sandbox.ts'
import { readExtendedImage } from '../../../lifecycle/phases/extended-image.ts'
import { layoutStore } from '../../../lifecycle/stores/layout/store.ts'
import { failureOf } from '../../helpers/failure.ts'
import { bytesOf, configOf, layerOf } from '../../helpers/images.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

const base = makeImage(configOf(), [])

/** What extender leaves: an image with one layer above the base. */
async function extended(dir: string, content: string): Promise<Image> {
  const unnamed = layoutStore(join(dir, 'unnamed'))
  const image = makeImage(base.config, [await unnamed.putLayer(await layerOf({ '/opt/tool': content }))])
  const store = layoutStore(join(dir, image.digest))
  for (const layer of image.layers) await store.putLayer(layer)
  await store.putImage(image, [''])
  await rm(join(dir, 'unnamed'), { recursive: true })
  return image
}

const topOf = (image: Image) => bytesOf((image.layers.at(-1) as Image['layers'][number]).open())

describe('an extended image in the cache', () => {
  it('is read by a build while other builds replace and remove it', async () => {
    const dir = await temporaryDirectory()
    const kept = join(dir, 'cache/extended/key')
    await extended(join(dir, 'first'), 'first')
    await keep(join(dir, 'first'), kept)
    const reading = await take(kept, join(dir, 'reading'), 'build', base)
    const other = await extended(join(dir, 'second'), 'second')
    await keep(join(dir, 'second'), kept)
    expect((await take(kept, join(dir, 'later'), 'build', base)).layers[0]?.diffId).toBe(other.layers[0]?.diffId)
    await rm(kept, { recursive: true })
    expect((await topOf(reading)).length).toBeGreaterThan(0)
    expect(await readdir(join(dir, 'cache/extended'))).toEqual([])
  })

  it('is not taken without one of its layers', async () => {
    const dir = await temporaryDirectory()
    const kept = join(dir, 'cache/extended/key')
    const image = await extended(join(dir, 'first'), 'first')
    await keep(join(dir, 'first'), kept)
    await rm(join(kept, image.digest, 'blobs/sha256', image.layers[0]?.digest.slice(7) as string))
    await expect(take(kept, join(dir, 'own'), 'build', base)).rejects.toThrow('ENOENT')
  })

  it('that is missing, or extends another image, is an error that names the kind and the RUN', async () => {
    const dir = await temporaryDirectory()
    const read = (name: string, below = base) =>
      failureOf(readExtendedImage(join(dir, name), below, extenderInSandbox('build')))
    const fix = 'find the RUN in the build.Dockerfiles that writes to /extended: only extender may make extended images'
    expect(await read('none')).toMatchObject({
      message: 'an image extension extends the build image, but the extended build image is missing',
      fix,
    })
    await extended(join(dir, 'first'), 'first')
    const other = makeImage(base.config, [await layerOf({ '/etc/other': '' })])
    expect(await read('first', other)).toMatchObject({
      message: 'it does not extend the build image of this build',
      fix,
    })
  })
})
