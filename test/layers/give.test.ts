import { chown, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { giveTree } from '../../lifecycle/layers/tree/give.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { swapForEver } from '../helpers/attack.ts'
import { skip } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const user = { uid: 54_321, gid: 54_322 }

async function filesIn(dir: string, count: number): Promise<void> {
  await mkdir(dir)
  for (let n = 0; n < count; n++) await writeFile(join(dir, `file-${n}`), '')
}

async function owners(dir: string): Promise<number[]> {
  const paths = ['.', ...(await readdir(dir, { recursive: true }))]
  return Promise.all(paths.map(async path => (await lstat(join(dir, path))).uid))
}

describe('giving a tree away', () => {
  it('X35 gives nothing of what a process swaps in for a directory meanwhile', { timeout: 30_000 }, async context => {
    if (process.geteuid?.() !== 0) return skip(context, 'only root can give files away')
    const dir = await temporaryDirectory()
    await filesIn(join(dir, 'outside'), 20)
    await mkdir(join(dir, 'layers'))
    await filesIn(join(dir, 'layers', 'layer'), 20)
    await symlink(join(dir, 'outside'), join(dir, 'layers', 'link'))
    swapForEver(join(dir, 'layers', 'layer'), join(dir, 'layers', 'link'))
    for (const end = performance.now() + 2000; performance.now() < end;) {
      await chown(join(dir, 'layers'), 0, 0)
      await giveTree(join(dir, 'layers'), user).catch((error: unknown) => {
        if (!(error instanceof BaleError)) throw error
      })
      expect(new Set(await owners(join(dir, 'outside')))).toEqual(new Set([0]))
    }
  })

  it('X35 gives the rest of a tree that holds links, fifos and files of others', async context => {
    if (process.geteuid?.() !== 0) return skip(context, 'only root can give files away')
    const dir = await temporaryDirectory()
    await filesIn(join(dir, 'layers'), 3)
    await filesIn(join(dir, 'layers', 'deep'), 300)
    await chown(join(dir, 'layers', 'file-0'), 2000, 2000)
    await symlink('/etc/passwd', join(dir, 'layers', 'link'))
    await giveTree(join(dir, 'layers'), user)
    expect((await owners(join(dir, 'layers'))).filter(uid => uid !== user.uid)).toEqual([2000])
    expect((await lstat('/etc/passwd')).uid).toBe(0)
  })
})
