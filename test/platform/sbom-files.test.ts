import { expect, it } from 'vitest'
import { makeImage } from '../../lifecycle/image/image.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { writeSboms } from '../../lifecycle/platform/sbom-files.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { configOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const root = { uid: 0, gid: 0 }

it('names the SBOMs of an image, and goes through none of its links', async () => {
  const link = (name: string) =>
    ({ kind: 'symlink', imagePath: `/layers/sbom/launch/${name}`, target: '.', ...root }) as const
  const file = { kind: 'file', mode: 0o644, content: Buffer.from('{}'), ...root } as const
  const layer = await memoryStore().putLayer(
    layerSource('SBOM', [{ ...file, imagePath: '/layers/sbom/launch/a/sbom.cdx.json' }, link('x'), link('y')]),
  )
  const metadata = JSON.stringify({ sbom: { sha: layer.diffId } })
  const image = makeImage(configOf({ config: { Labels: { 'io.buildpacks.lifecycle.metadata': metadata } } }), [layer])
  const { signal } = new AbortController()
  expect(await writeSboms(image, await temporaryDirectory(), signal)).toEqual(['layers/sbom/launch/a/sbom.cdx.json'])
})
