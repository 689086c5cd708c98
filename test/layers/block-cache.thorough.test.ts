import { mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compressLayer } from '../../lifecycle/layers/compress.ts'
import { blockFolder, pruneBlocks, throughCache } from '../../lifecycle/layers/block-cache.ts'
import { layerSource } from '../../lifecycle/layers/pack.ts'
import { decompress } from '../../lifecycle/layers/decompress.ts'
import { bytesOf, noise } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const owner = { uid: 1000, gid: 1000 }

/** Some 8 MB in 80 files, half text and half noise. */
async function makeTree(): Promise<string> {
  const dir = join(await temporaryDirectory(), 'tree')
  await mkdir(dir)
  for (let i = 0; i < 80; i++) {
    const text = Buffer.alloc(50_000, `line of file ${i}\n`)
    await writeFile(join(dir, `file-${String(i).padStart(3, '0')}`), Buffer.concat([text, noise(50_000 + i, `${i}`)]))
  }
  return dir
}

async function compress(hostPath: string, blockCache?: string, compression: 'gzip' | 'zstd' = 'gzip') {
  const chunks: Uint8Array[] = []
  const source = layerSource('test', [{ kind: 'tree', hostPath, imagePath: '/t', ...owner }])
  const options = { compression, ...(blockCache !== undefined && { blockCache }) }
  const { digest } = await compressLayer(source, chunk => void chunks.push(Buffer.from(chunk)), options)
  return { digest, bytes: Buffer.concat(chunks) }
}

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

describe('a block cache', () => {
  it.each(['gzip', 'zstd'] as const)('gives the bytes that there are without it, %s', async compression => {
    const tree = await makeTree()
    const cache = await temporaryDirectory()
    const { digest, bytes } = await compress(tree, undefined, compression)
    for (const _time of ['filling', 'using']) expect((await compress(tree, cache, compression)).digest).toBe(digest)
    expect((await bytesOf(decompress(streamOf(bytes), compression))).length).toBeGreaterThan(8_000_000)
    expect((await filesIn(cache)).length).toBeGreaterThan(8)
  })

  it('grows by a few blocks when a file in the middle has changed its size', async () => {
    const tree = await makeTree()
    const cache = await temporaryDirectory()
    await compress(tree, cache)
    const before = (await filesIn(cache)).length
    await writeFile(join(tree, 'file-040'), noise(61_234, 'another'))
    const changed = await compress(tree, cache)
    expect((await filesIn(cache)).length - before).toBeLessThanOrEqual(3)
    expect(changed.digest).toBe((await compress(tree)).digest)
  })

  it('C04 makes damaged blocks again: cut off, flipped, empty', async () => {
    const tree = await makeTree()
    const cache = await temporaryDirectory()
    const { digest } = await compress(tree, cache)
    const files = await filesIn(cache)
    for (const [i, file] of files.entries()) {
      const bytes = await readFile(file)
      const damaged = [bytes.subarray(0, 1000), bytes.map((b, at) => (at === 500 ? b ^ 1 : b)), Buffer.of()][i % 3]
      await writeFile(file, damaged as Buffer)
    }
    expect((await compress(tree, cache)).digest).toBe(digest)
    // They are whole again.
    const block = noise(100_000)
    throughCache(cache, block, () => Buffer.from('small'))
    expect(Buffer.from(throughCache(cache, block, () => Buffer.from('never'))).toString()).toBe('small')
  })

  it('is done without where nothing can be written', async () => {
    const file = join(await temporaryDirectory(), 'file')
    await writeFile(file, '')
    const made = throughCache(file, noise(100_000), () => Buffer.from('made'))
    expect(Buffer.from(made).toString()).toBe('made')
  })

  it('is pruned of what was not used for the longest time', async () => {
    const dir = await temporaryDirectory()
    const folder = blockFolder(dir, 'test')
    for (let i = 0; i < 10; i++) throughCache(folder, noise(70_000, `${i}`), () => Buffer.alloc(1000))
    const files = await filesIn(dir)
    for (const [i, file] of files.entries()) await utimes(file, i, i)
    await pruneBlocks(dir, 3 * 1032)
    expect((await filesIn(dir)).sort()).toEqual(files.slice(7).sort())
    // A process that has not used it since does not look.
    await pruneBlocks(dir, 0)
    expect(await filesIn(dir)).toHaveLength(3)
  })
})
