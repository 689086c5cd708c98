import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLayers } from '../../lifecycle/engines/overlay.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'

/** Layers of literals, the lowest first, with what is to be mounted on. */
async function prepare(trees: readonly Tree[], points: Parameters<typeof openLayers>[1]) {
  const [base, tmpDir] = [await temporaryDirectory(), await temporaryDirectory()]
  const layers = trees.map((_tree, n) => join(base, String(n)))
  for (const [n, tree] of trees.entries()) await writeTree(layers[n] ?? '', tree)
  return { layers, tmpDir, open: () => openLayers(layers, points, tmpDir) }
}

describe('layers as one root', () => {
  it('have a topmost one with the mount points alone, and the modes of what these are in', async () => {
    const { open, layers } = await prepare([{ 'etc/a': '' }, { b: '' }], [{ path: '/etc/hosts', kind: 'file' }])
    await using root = await open()
    const { cwd, argv } = root.wrapper
    expect(argv.at(-1)).toBe('points:1:0')
    expect(await readdir(join(cwd, 'points'), { recursive: true })).toEqual(['etc', 'etc/hosts'])
    const mode = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777
    expect(await mode(join(cwd, 'points/etc'))).toBe(await mode(join(layers[0] ?? '', 'etc')))
  })

  it('X19 have no link on the way to a mount point, in the topmost layer that has it', async () => {
    const points = [{ path: '/etc/hosts', kind: 'file' }] as const
    const bad = await prepare([{ 'etc/a': '' }, { etc: { link: '/oldroot/etc' } }], points)
    expect(await failureOf(bad.open())).toMatchObject({ code: 'engine', where: join(bad.layers[1] ?? '', 'etc') })
    expect(await readdir(bad.tmpDir)).toEqual([])
    const hidden = await prepare([{ etc: { link: '/oldroot/etc' } }, { 'etc/a': '' }], points)
    await using root = await hidden.open()
    expect(root.path).toContain(hidden.tmpDir)
  })

  it('leave nothing', async () => {
    const { open, tmpDir } = await prepare([{ a: '' }], [{ path: '/x/y', kind: 'directory' }])
    await (await open())[Symbol.asyncDispose]()
    expect(await readdir(tmpDir)).toEqual([])
  })
})
