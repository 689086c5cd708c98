import { chmod, link, mkdir, readFile, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fingerprintTree, settled } from '../../lifecycle/layers/tree/fingerprint.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

async function tree(): Promise<string> {
  const dir = join(await temporaryDirectory(), 'tree')
  await mkdir(join(dir, 'sub/deep'), { recursive: true })
  await writeFile(join(dir, 'a.txt'), 'hello')
  await writeFile(join(dir, 'sub/b.txt'), 'there')
  await symlink('a.txt', join(dir, 'link'))
  return dir
}

/** The same among so many others that threads look at it: at the top, and in one of the directories that they share. */
async function largeTree(): Promise<string> {
  const dir = await tree()
  for (let i = 0; i < 35; i++) {
    await mkdir(join(dir, `dir-${i}/deep`), { recursive: true })
    for (let j = 0; j < 60; j++) writeFileSync(join(dir, `dir-${i}/deep/${j}`), '')
  }
  return dir
}

const of = fingerprintTree

describe.each([
  ['a fingerprint', tree],
  ['a fingerprint of a large tree', largeTree],
])('%s', (_of, tree) => {
  it('is the same as long as nothing changes, wherever the tree is moved', async () => {
    const dir = await tree()
    const before = await of(dir)
    expect(before).toMatch(/^[0-9a-f]{64}$/)
    await readFile(join(dir, 'a.txt'))
    expect(await of(dir)).toBe(before)
    await rename(dir, `${dir}-moved`)
    expect(await of(`${dir}-moved`)).toBe(before)
  })

  const changes: Record<string, (dir: string) => Promise<unknown>> = {
    'other bytes of the same number, and the old time put back': async dir => {
      await writeFile(join(dir, 'a.txt'), 'HELLO')
      await utimes(join(dir, 'a.txt'), 1, 1)
    },
    'a mode': dir => chmod(join(dir, 'a.txt'), 0o755),
    'the mode of a directory': dir => chmod(join(dir, 'sub'), 0o700),
    'the mode of the tree itself': dir => chmod(dir, 0o700),
    'the mode of a directory far below': dir => chmod(join(dir, 'sub/deep'), 0o700),
    'a file far below': dir => writeFile(join(dir, 'sub/deep/c'), 'c'),
    'a file more': dir => writeFile(join(dir, 'sub/c'), ''),
    'a file less': dir => unlink(join(dir, 'sub/b.txt')),
    'an empty directory more': dir => mkdir(join(dir, 'empty')),
    'a name': dir => rename(join(dir, 'a.txt'), join(dir, 'A.txt')),
    'a link that leads elsewhere': async dir => {
      await unlink(join(dir, 'link'))
      await symlink('b.txt', join(dir, 'link'))
    },
    'a copy in the place of a file': async dir => {
      await writeFile(join(dir, 'new'), 'hello')
      await rename(join(dir, 'new'), join(dir, 'a.txt'))
    },
    'another name for a file, through which it can be written': dir => link(join(dir, 'a.txt'), `${dir}-outside`),
  }
  it.each(Object.entries(changes))('is another one after %s', async (_what, change) => {
    const dir = await tree()
    const before = await of(dir)
    await change(dir)
    expect(await of(dir)).not.toBe(before)
  })

  it('proves a change that is made at once after it was taken (racily clean)', async () => {
    const dir = await tree()
    for (let i = 0; i < 5; i++) {
      await writeFile(join(dir, 'a.txt'), `${i % 10}`)
      const before = await of(dir)
      await writeFile(join(dir, 'a.txt'), `${(i + 1) % 10}`)
      expect(await of(dir)).not.toBe(before)
    }
  })

  it.each(['a.txt', 'sub/b.txt'])('is of nothing that a layer holds with a warning: %s', async file => {
    const dir = await tree()
    await chmod(join(dir, file), 0o4755)
    expect(await of(dir)).toBeUndefined()
  })

  it('is none where it proves nothing: a file system that others write to', async () => {
    expect(await of('/proc/self/fdinfo')).toBeUndefined()
  })

  it('X24 X25 follows no link in place of the tree', async () => {
    const dir = await tree()
    await rename(dir, `${dir}-real`)
    await symlink(`${dir}-real`, dir)
    await expect(of(dir)).rejects.toThrow(/links are not followed/)
    await rm(dir)
  })
})

describe('settled', () => {
  const now = (): bigint => BigInt(Date.now()) * 1_000_000n + 1n
  it('waits until a change would have a later time', async () => {
    const start = now()
    expect(await settled(start)).toBe(true)
    expect(now() - start).toBeGreaterThanOrEqual(50_000_000n)
  })
  it('does not believe in times of the future: the clock was set back', async () => {
    expect(await settled(now() + 3_600_000_000_000n)).toBe(false)
  })
  it('does not believe in whole seconds', async () =>
    expect(await settled(1_000_000_000n * 1_700_000_000n)).toBe(false))
})
