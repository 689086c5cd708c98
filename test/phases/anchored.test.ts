import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { readUntrusted } from '../../lifecycle/files/read.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { unpackTree } from '../../lifecycle/layers/tree/unpack.ts'
import { removeWithin, writeAnew } from '../../lifecycle/phases/write-file.ts'
import { swapForEver } from '../helpers/attack.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

/** A buildpack's layers directory that a process exchanges for a link to somewhere else, again and again. */
async function swapped() {
  const dir = await temporaryDirectory()
  const [layers, outside] = [join(dir, 'layers'), join(dir, 'outside')]
  await writeTree(dir, { 'layers/bp/ours': 'ours', 'outside/ours': 'secret', 'outside/old/file': 'canary' })
  await writeTree(dir, { 'layers/link': { link: outside } })
  swapForEver(join(layers, 'bp'), join(layers, 'link'))
  /** Does it for a while; that it fails is fine. */
  const again = async (work: () => unknown): Promise<void> => {
    for (const end = performance.now() + 500; performance.now() < end;) {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof BaleError)) throw error
      }
    }
  }
  return { layers, outside, again }
}

describe('X25 X35 with a parent that is swapped for a link meanwhile', () => {
  it('nothing is written or made outside', async () => {
    const { layers, outside, again } = await swapped()
    const archive = layerSource('test', [
      { kind: 'file', imagePath: '/layers/bp/made/file', mode: 0o644, content: Buffer.from('x'), uid: 0, gid: 0 },
    ])
    await again(() => writeAnew(join(layers, 'bp/store.toml'), 'x', layers))
    await again(async () => {
      removeWithin(join(layers, 'bp/made'), layers)
      await unpackTree(archive.tar(), { from: '/layers/bp/made', to: join(layers, 'bp/made'), within: layers })
    })
    expect(readdirSync(outside).sort()).toEqual(['old', 'ours'])
  })

  it('nothing is removed outside', async () => {
    const { layers, outside, again } = await swapped()
    await again(() => removeWithin(join(layers, 'bp/old'), layers))
    expect(existsSync(join(outside, 'old/file'))).toBe(true)
  })

  it('nothing is read from outside', async () => {
    const { layers, again } = await swapped()
    const read = new Set<string>()
    await again(async () => read.add(String(Buffer.from((await readUntrusted(join(layers, 'bp/ours'), layers)) ?? ''))))
    expect(read).toContain('ours')
    expect(read).not.toContain('secret')
  })

  it('nothing from outside gets into a layer', async () => {
    const { layers, again } = await swapped()
    const place = { hostPath: join(layers, 'bp'), within: layers, imagePath: '/layers/bp', uid: 0, gid: 0 }
    let archives = 0
    await again(async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of layerSource('test', [{ kind: 'tree', ...place }]).tar()) chunks.push(Buffer.from(chunk))
      archives++
      expect(Buffer.concat(chunks).includes('secret')).toBe(false)
    })
    expect(archives).toBeGreaterThan(0)
  })
})
