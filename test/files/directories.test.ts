import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeDirectories } from '../../lifecycle/files/directories.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

it('makes a directory and those above it, or finds it there', async () => {
  const dir = await temporaryDirectory()
  const path = join(dir, 'a/b/c')
  await makeDirectories(path)
  await makeDirectories(path)
  expect((await stat(path)).isDirectory()).toBe(true)
})

it('says where it cannot: below a file, or in a file system that makes none', async () => {
  const dir = await temporaryDirectory()
  await writeFile(join(dir, 'file'), '')
  await expect(makeDirectories(join(dir, 'file'))).rejects.toMatchObject({
    code: 'filesystem',
    where: join(dir, 'file'),
  })
  await expect(makeDirectories(join(dir, 'file/a'))).rejects.toMatchObject({ code: 'filesystem' })
  await expect(makeDirectories('/proc/bale-test')).rejects.toMatchObject({ where: '/proc/bale-test' })
})
