import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { OpenDirectory } from '../../lifecycle/files/open-directory.ts'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { TreeWriter } from '../../lifecycle/layers/tree/tree-writer.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { readTree, writeTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'

let dir: string
let doomed: string
beforeEach(async () => {
  dir = await temporaryDirectory()
  chmodSync(dir, 0o777)
  doomed = join(dir, 'doomed')
  await writeTree(dir, { 'kept/file': 'untouched' })
})

const untouched = async (): Promise<void> => {
  expect(await readTree(join(dir, 'kept'))).toEqual({ file: 'untouched' })
  expect(readdirSync(dir)).toEqual(['kept'])
}

describe('removeTree', () => {
  it('removes files, directories and links, and follows none of these', async () => {
    await writeTree(doomed, {
      'a/b/c': 'x',
      'a/link': { link: '../../kept' },
      file: { link: '../kept/file' },
      loop: { link: 'loop' },
    })
    await removeTree(doomed)
    await untouched()
  })

  it('removes a file, and a link rather than what it leads to', async () => {
    writeFileSync(doomed, 'x')
    await removeTree(doomed)
    symlinkSync('kept', doomed)
    await removeTree(doomed)
    await untouched()
  })

  it('is content when there is nothing', async () => {
    await removeTree(doomed)
    await removeTree(join(doomed, 'not', 'even', 'parents'))
    await untouched()
  })

  it.each(['/', '', '.', '..', '/tmp/..', 'x/.'])(
    'refuses %j, which would empty a directory that is not named',
    async path => {
      expect(await failureOf(removeTree(path))).toMatchObject({
        name: 'BaleError',
        message: expect.stringMatching(/is not a directory entry/) as string,
      })
    },
  )

  it('goes into directories whose mode forbids it', async () => {
    await asOrdinaryUser(async () => {
      await writeTree(doomed, { 'a/b/c': 'x', 'd/e': 'y', f: { dir: true } })
      for (const path of ['f', 'd', 'a/b', 'a', '']) chmodSync(join(doomed, path), path === 'd' ? 0o500 : 0)
      await removeTree(doomed)
    })
    await untouched()
  })

  it('T22 removes a tree 5,000 deep with few descriptors', async () => {
    mkdirSync(doomed)
    const writer = new TreeWriter(OpenDirectory.open(doomed))
    writer.directory('d/'.repeat(4999) + 'd', 0o755)
    for (const path of ['d/d/x', `${'d/'.repeat(4000)}x`]) writer.symlink(path, join(dir, 'kept'))
    writer.finish()
    writer.close()
    const open = (): number => readdirSync('/proc/self/fd').length
    const before = open()
    let most = 0
    const removing = removeTree(doomed).then(() => true)
    while (!(await Promise.race([removing, setImmediate(false)]))) most = Math.max(most, open())
    expect(most - before).toBeLessThan(100)
    expect(open()).toBe(before)
    await untouched()
  })

  it('lets others run meanwhile', async () => {
    for (let i = 0; i < 2000; i++) await writeTree(doomed, { [`${i % 7}/${i}`]: '' })
    let turns = 0
    const removing = removeTree(doomed).then(() => true)
    while (!(await Promise.race([removing, setImmediate(false)]))) turns++
    expect(turns).toBeGreaterThan(3)
    await untouched()
  })

  it('can be done twice at once', async () => {
    for (let i = 0; i < 1000; i++) await writeTree(doomed, { [`${i % 7}/${i}`]: '' })
    await Promise.all([removeTree(doomed), removeTree(doomed)])
    await untouched()
  })

  it('leaves what a directory was swapped for while it was emptied', async () => {
    for (let i = 0; i < 1000; i++) await writeTree(doomed, { [`sub/${i}`]: '' })
    const removing = removeTree(doomed).catch(() => undefined)
    await setImmediate()
    renameSync(join(doomed, 'sub'), join(dir, 'aside'))
    symlinkSync(join(dir, 'kept'), join(doomed, 'sub'))
    await removing
    expect(await readTree(join(dir, 'kept'))).toEqual({ file: 'untouched' })
  })

  it.skipIf(process.getuid?.() !== 0)('X34 names what belongs to another user', async () => {
    await writeTree(doomed, { 'sub/file': 'x' })
    chownSync(doomed, 65_534, 65_534)
    const error = await asOrdinaryUser(() => failureOf(removeTree(doomed)))
    expect(error).toMatchObject({
      code: 'filesystem',
      where: `${doomed}/sub/file`,
      message: `${doomed}/sub/file cannot be removed: permission denied`,
      fix: 'it belongs to another user, who must remove it',
    })
    expect(lstatSync(join(doomed, 'sub/file')).size).toBe(1)
    expect(existsSync(join(doomed, 'sub'))).toBe(true)
  })
})
