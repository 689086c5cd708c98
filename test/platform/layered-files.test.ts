import { join } from 'node:path'
import { expect, it } from 'vitest'
import { LayeredFiles } from '../../lifecycle/platform/builders/layered-files.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

it('X23 finds directories of the topmost layer, and no link in their place', async () => {
  const dir = await temporaryDirectory()
  await writeTree(dir, {
    'own/buildpack.toml': 'of this machine',
    'low/cnb/a/1/file': 'low',
    'top/cnb/a/1/file': 'top',
    'low/cnb/b/1/file': 'low',
    'top/cnb/b/1': { link: join(dir, 'own') },
  })
  const files = new LayeredFiles([join(dir, 'low'), join(dir, 'top')])
  expect(await files.findDirectory('cnb/a/1')).toBe(join(dir, 'top/cnb/a/1'))
  expect(await files.findDirectory('cnb/b/1')).toBeUndefined()
  expect(await files.findDirectory('cnb/c/1')).toBeUndefined()
})
