import { chmod, chown, lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { unpacked, unpackedDir } from '../../lifecycle/cli/commands/run.ts'
import { hexOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, layerOf } from '../helpers/images.ts'
import { skip } from '../helpers/skip.ts'
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

it('is unpacked once for two runs that begin at the same time', async () => {
  const base = await temporaryDirectory()
  const layers = await Promise.all(['a', 'b'].map(text => layerOf({ '/etc/file': text, [`/${text}`]: text })))
  const image = makeImage(configOf({ author: 'two' }), layers)
  const run = () => unpacked(image, base, new AbortController().signal, () => undefined)
  const dirs = await Promise.all([run(), run(), run()])
  expect(new Set(dirs)).toEqual(new Set([join(base, hexOf(image.imageId))]))
  expect(await readdir(base)).toEqual([hexOf(image.imageId)])
})

it('X44 are in a directory that nobody else can enter, whatever the umask', async () => {
  const cache = join(await temporaryDirectory(), 'a', 'cache')
  const umask = process.umask(0)
  const dir = await unpackedDir(cache).finally(() => process.umask(umask))
  for (const path of [cache, dir]) expect((await lstat(path)).mode & 0o777).toBe(0o700)
})

it('X44 are not run from a directory of another user, who could have written them', async context => {
  if (process.geteuid?.() !== 0) return skip(context, 'only root can give a directory away')
  for (const foreign of ['.', 'unpacked']) {
    const cache = await temporaryDirectory()
    await mkdir(join(cache, 'unpacked'))
    await chmod(cache, 0o777)
    await chown(join(cache, foreign), 12_345, 12_345)
    const error = await failureOf(unpackedDir(cache))
    expect(error).toMatchObject({ code: 'filesystem', where: join(cache, foreign) })
  }
})
