import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { largestChunk, splitTar } from '../../../lifecycle/caches/chunks/split.ts'
import { digestOf } from '../../../lifecycle/image/digest.ts'
import { bytesOf, noise, pieces } from '../../helpers/images.ts'

const mtime = new Date(315_532_801_000)

/** A tar with directories, as layers have them: a name that ends in a slash, or a file with that many bytes. */
async function tarOf(entries: Readonly<Record<string, number>>): Promise<Buffer> {
  const tar = pack()
  for (const [name, size] of Object.entries(entries)) {
    if (name.endsWith('/')) tar.entry({ name, type: 'directory', mtime })
    else tar.entry({ name, mtime }, noise(size, name.split('/').at(-1)))
  }
  tar.finalize()
  return bytesOf(tar as AsyncIterable<Uint8Array>)
}

async function split(tar: Uint8Array, piece = 10_000): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  for await (const chunk of splitTar(pieces(tar, piece))) chunks.push(Buffer.from(chunk))
  return chunks
}

/** node_modules with these packages, some of them with a directory. */
function packages(names: readonly string[], size = 20_000): Record<string, number> {
  const all: Record<string, number> = { 'layers/': 0, 'layers/modules/': 0 }
  for (const name of names) {
    all[`layers/modules/${name}/`] = 0
    all[`layers/modules/${name}/index-${name}.js`] = size
    all[`layers/modules/${name}/lib/`] = 0
    all[`layers/modules/${name}/lib/a-${name}.js`] = size
    all[`layers/modules/${name}/package-${name}.json`] = 700
  }
  return all
}

const names = Array.from({ length: 40 }, (_, i) => `p${String(i).padStart(2, '0')}`)

describe('splitting a tar', () => {
  it.each<[string, () => Promise<Uint8Array> | Uint8Array]>([
    ['packages', () => tarOf(packages(names))],
    ['nothing', () => Buffer.of()],
    ['an empty tar', () => tarOf({})],
    ['what is not a tar', () => noise(3_500_000)],
    ['less than a header', () => noise(100)],
    ['a tar that is cut off', async () => (await tarOf(packages(names))).subarray(0, 100_700)],
    ['long names', () => tarOf({ [`${'d/'.repeat(90)}${'n'.repeat(99)}`]: 5000, [`x/${'y'.repeat(200)}`]: 100 })],
    ['a large file', () => tarOf({ 'a/': 0, 'a/b': 10, 'a/c': 4_000_000, 'a/d': 10 })],
  ])('loses nothing of %s, whatever pieces it comes in', async (_what, make) => {
    const tar = await make()
    const chunks = await split(tar)
    expect(digestOf(Buffer.concat(chunks))).toBe(digestOf(tar))
    for (const { length } of chunks) expect(length).toBeGreaterThan(0)
    for (const { length } of chunks) expect(length).toBeLessThanOrEqual(largestChunk)
    expect((await split(tar, 777)).map(digestOf)).toEqual(chunks.map(digestOf))
  })

  it('finds the packages of another app, though it has others between them', async () => {
    const shared = new Set((await split(await tarOf(packages(names)))).map(digestOf))
    const others = names.flatMap((name, i) => (i % 4 === 0 ? [name, `${name}-other`] : [name]))
    const theirs = await split(await tarOf(packages(others)))
    const found = theirs.filter(chunk => shared.has(digestOf(chunk)))
    const bytes = (all: readonly Buffer[]) => all.reduce((sum, { length }) => sum + length, 0)
    // 40 of the 50 packages are the same.
    expect(bytes(found) / bytes(theirs)).toBeGreaterThan(0.77)
  })

  it('makes no object of each of many small directories', async () => {
    const small = Object.fromEntries(
      names.flatMap(name => [
        [`d/${name}/`, 0],
        [`d/${name}/${name}`, 10],
      ]),
    )
    expect((await split(await tarOf({ 'd/': 0, ...small }))).length).toBeLessThan(names.length / 2)
  })
})
