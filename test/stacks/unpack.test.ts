import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { unpackRootfs } from '../../lifecycle/stacks/unpack-rootfs.ts'

let dir: string
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'bale-test-'))))
afterEach(() => rm(dir, { recursive: true }))

const options = { environment: { PATH: '/usr/bin:/bin' }, signal: new AbortController().signal }

async function tarOf(mode: number): Promise<string> {
  const tree = join(dir, 'tree')
  await mkdir(join(tree, 'usr/locked'), { recursive: true })
  await mkdir(join(tree, 'usr/share/dev'), { recursive: true })
  await mkdir(join(tree, 'tmp'))
  await writeFile(join(tree, 'usr/su'), 'su')
  await writeFile(join(tree, 'usr/locked/file'), 'file')
  await writeFile(join(tree, 'usr/share/dev/kept'), 'kept')
  await chmod(join(tree, 'tmp'), 0o1777)
  await chmod(join(tree, 'usr/su'), mode)
  await chmod(join(tree, 'usr/locked'), 0o555)
  const tar = join(dir, 'a:b.tar') // a colon means another machine to tar
  execFileSync('tar', ['--force-local', '-C', tree, '-cf', tar, '--owner=0', '--group=0', 'usr', 'tmp'])
  await chmod(join(tree, 'usr/locked'), 0o755)
  return tar
}

it('unpacks for the caller alone: no setuid bits, nothing others can write, and all of it can be deleted', async () => {
  const root = join(dir, 'root')
  const umask = process.umask(0o077)
  await unpackRootfs(await tarOf(0o6755), root, options).finally(() => process.umask(umask))
  const mode = async (name: string) => ((await lstat(join(root, name))).mode & 0o7777).toString(8)
  expect(await mode('.')).toBe('755')
  expect(await mode('usr/su')).toBe('755')
  expect(await mode('usr/locked')).toBe('755')
  expect(Number.parseInt(await mode('tmp'), 8) & 0o022).toBe(0)
  expect((await lstat(join(root, 'usr/su'))).uid).toBe(process.getuid?.())
  expect(await readFile(join(root, 'usr/share/dev/kept'), 'utf8')).toBe('kept')
  await rm(root, { recursive: true })
})

it('leaves a folder that is there as it is', async () => {
  const root = join(dir, 'root')
  await mkdir(root)
  await unpackRootfs('/no/such.tar', root, options)
  expect(await readdir(root)).toEqual([])
})

it('two at once both succeed', async () => {
  const tar = await tarOf(0o755)
  await Promise.all([1, 2].map(() => unpackRootfs(tar, join(dir, 'root'), options)))
  expect((await readdir(dir)).toSorted()).toEqual(['a:b.tar', 'root', 'tree'])
})

it('fails without leaving a trace, and says why', async () => {
  await writeFile(join(dir, 'bad.tar'), 'x'.repeat(2000))
  const run = unpackRootfs(join(dir, 'bad.tar'), join(dir, 'root'), options)
  await expect(run).rejects.toMatchObject({
    code: 'filesystem',
    message: expect.stringContaining('tar ended with') as string,
  })
  expect(await readdir(dir)).toEqual(['bad.tar'])
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(unpackRootfs(join(dir, 'bad.tar'), join(dir, 'root'), { ...options, signal })).rejects.toThrow('enough')
  expect(await readdir(dir)).toEqual(['bad.tar'])
})
