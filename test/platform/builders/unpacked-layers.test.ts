import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { unpackedLayers } from '../../../lifecycle/platform/builders/unpacked-layers.ts'
import { failureOf } from '../../helpers/failure.ts'
import { layerOf, withBytes } from '../../helpers/images.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { recorder } from '../../phases/harness.ts'

async function cache() {
  const cacheDir = await temporaryDirectory()
  const reporter = recorder()
  const unpack = (layers: Parameters<typeof unpackedLayers>[0], flat = false) =>
    unpackedLayers(layers, { cacheDir, reporter, flat }, new AbortController().signal)
  return { cacheDir, reporter, unpack }
}

const read = (dirs: readonly string[], n: number, path: string) => readFile(join(dirs.at(n) ?? '', path), 'utf8')

describe('the layers of a builder', () => {
  it('are unpacked once each, and shared by builders', async () => {
    const { unpack, reporter } = await cache()
    const [base, one, two] = await Promise.all([layerOf({ a: 'base' }), layerOf({ b: 'one' }), layerOf({ c: 'two' })])
    const first = await unpack([base, one])
    const second = await unpack([base, two])
    expect(first[0]).toBe(second[0])
    expect([await read(first, 0, 'a'), await read(first, 1, 'b'), await read(second, 1, 'c')]).toEqual([
      'base',
      'one',
      'two',
    ])
    expect(reporter.events.filter(e => e.type === 'note')).toHaveLength(3)
  })

  it('that delete something are one with those below', async () => {
    const { unpack, reporter } = await cache()
    const layers = await Promise.all([layerOf({ a: '1', b: '1' }), layerOf({ '.wh.a': '' }), layerOf({ c: '3' })])
    const dirs = await unpack(layers)
    expect(dirs).toHaveLength(2)
    expect(await readdir(dirs[0] ?? '')).toEqual(['b'])
    expect(await readdir(dirs[1] ?? '')).toEqual(['c'])
    const before = reporter.events.length
    expect(await unpack(layers)).toEqual(dirs)
    expect(reporter.events.length).toBe(before)
  })

  it('are one directory where they cannot be laid over each other', async () => {
    const { unpack } = await cache()
    const dirs = await unpack([await layerOf({ a: '1' }), await layerOf({ a: '2', b: '2' })], true)
    expect([dirs.length, await read(dirs, 0, 'a'), await read(dirs, 0, 'b')]).toEqual([1, '2', '2'])
  })

  it('that are damaged leave nothing', async () => {
    const { unpack, cacheDir } = await cache()
    const damaged = withBytes(await layerOf({ a: '1' }), Buffer.from('other bytes'))
    expect(await failureOf(unpack([damaged]))).toMatchObject({ code: 'input' })
    expect(await readdir(join(cacheDir, 'layers'))).toEqual([])
  })
})
