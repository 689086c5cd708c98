import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { unpacked } from '../../lifecycle/cli/commands/run.ts'
import { hexOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

it('keeps the five images that were run last, unpacked', async () => {
  const base = await temporaryDirectory()
  let unpackings = 0
  const run = async (image: Image): Promise<void> => {
    await unpacked(image, base, new AbortController().signal, () => unpackings++)
    await sleep(15) // for clocks that file systems read
  }
  const [a, b, c, d, e, f] = ['a', 'b', 'c', 'd', 'e', 'f'].map(author =>
    makeImage({ os: 'linux', architecture: 'amd64', author, rootfs: { type: 'layers', diff_ids: [] } }, []),
  ) as [Image, Image, Image, Image, Image, Image]
  for (const image of [a, b, c, d, e, a, f]) await run(image)
  expect(unpackings).toBe(6)
  expect((await readdir(base)).sort()).toEqual([c, d, e, a, f].map(image => hexOf(image.imageId)).sort())
})
