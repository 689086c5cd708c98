import { mkdir, readFile, readdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import type { Digest } from '../../lifecycle/image/digest.ts'
import type { LayerDigests, LayerSource } from '../../lifecycle/image/layer.ts'
import type { Compression } from '../../lifecycle/image/media-types.ts'
import { compressLayer } from '../../lifecycle/layers/compression/compress.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { bytesOf, noise } from '../helpers/images.ts'
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

const sourceOf = (hostPath: string): LayerSource =>
  layerSource('test', [{ kind: 'tree', hostPath, imagePath: '/t', ...owner }])

interface Built extends LayerDigests {
  /** Blocks that were compressed before, and all. */
  readonly found: number
  readonly blocks: number
  readonly reused: boolean
}

/** An export of that tree with this cache, and the next generation of the cache. */
async function build(tree: string, cacheDir: string, compression: Compression = 'gzip'): Promise<Built> {
  let [found, blocks] = [0, 0]
  await using writer = await directoryCache(cacheDir, { compressed: true }).begin()
  const recorder: LayerSource['chunks'] = (...format) => {
    const one = writer.chunks!(...format)
    const find = (key: string, into: Uint8Array): number | undefined => {
      const length = one.find(key, into)
      blocks++
      if (length !== undefined) found++
      return length
    }
    return { ...one, find }
  }
  const layer = await compressLayer({ ...sourceOf(tree), chunks: recorder }, () => {}, { compression })
  const { reused } = await writer.put({ ...sourceOf(tree), known: layer })
  await writer.commit({ buildpacks: [] })
  return { ...layer, found, blocks, reused }
}

const digestOf = async (tree: string): Promise<Digest> => (await compressLayer(sourceOf(tree), () => {})).digest

async function tarIn(cacheDir: string, diffId: Digest, warnings: string[] = []): Promise<Buffer> {
  const tar = await directoryCache(cacheDir, { onWarning: text => warnings.push(text) }).open(diffId)
  return bytesOf(tar!)
}

describe('layers that are kept as they are compressed', () => {
  it.each([
    ['none', '.tar'],
    ['gzip', '.tar.gz'],
    ['zstd', '.tar.zst'],
  ] as const)('%s: the image’s bytes are the cache’s, made in one pass', async (compression, extension) => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    const { diffId, digest, size, reused } = await build(tree, cache, compression)
    expect(reused).toBe(false)
    const path = join(cache, 'committed', `${diffId}${extension}`)
    expect((await stat(path)).size).toBe(size)
    const tar = await tarIn(cache, diffId)
    expect(tar.equals(await bytesOf(sourceOf(tree).tar()))).toBe(true)
    expect(await readdir(join(cache, 'staging'))).toEqual([])
    const again = await build(tree, cache, compression)
    expect(again).toMatchObject({ digest, found: again.blocks })
  })

  it('a small one is a tar, as everywhere', async () => {
    const [tree, cache] = [join(await temporaryDirectory(), 'tree'), await temporaryDirectory()]
    await mkdir(tree)
    await writeFile(join(tree, 'file'), 'small')
    const { diffId } = await build(tree, cache)
    expect(await readdir(join(cache, 'committed'))).toContain(`${diffId}.tar`)
  })

  it('compresses a few blocks when a file in the middle has changed its size', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    await build(tree, cache)
    await writeFile(join(tree, 'file-040'), noise(61_234, 'another'))
    const changed = await build(tree, cache)
    expect(changed.blocks - changed.found).toBeLessThanOrEqual(3)
    expect(changed.digest).toBe(await digestOf(tree))
    // The generation before is gone, with what was in it alone.
    expect((await readdir(join(cache, 'committed'))).filter(name => name.endsWith('.gz'))).toHaveLength(1)
    expect(await build(tree, cache)).toMatchObject({ found: changed.blocks })
  })

  it('finds blocks of a layer that was not made again but taken over', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    const known = await build(tree, cache)
    await using writer = await directoryCache(cache, { compressed: true }).begin()
    expect(await writer.put({ ...sourceOf(tree), known })).toMatchObject({ reused: true, size: known.size })
    await writer.commit({ buildpacks: [] })
    expect(await build(tree, cache)).toMatchObject({ found: known.blocks })
  })

  it('does not take what another compressor made', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    await build(tree, cache, 'gzip')
    expect(await build(tree, cache, 'zstd')).toMatchObject({ found: 0 })
    const warnings: string[] = []
    await tarIn(cache, (await build(tree, cache, 'gzip')).diffId, warnings)
    expect(warnings).toEqual([])
  })
})

describe('C04 damage costs time, and changes no byte', () => {
  const path = async (cache: string): Promise<string> => {
    const dir = join(cache, 'committed')
    return join(
      dir,
      (await readdir(dir)).find(name => name.endsWith('.gz'))!,
    )
  }

  it('bits that flipped', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    const { digest, blocks } = await build(tree, cache)
    const bytes = await readFile(await path(cache))
    bytes[1_000_000]! ^= 1
    await writeFile(await path(cache), bytes)
    expect(await build(tree, cache)).toMatchObject({ digest, found: blocks - 1 })
    expect(await build(tree, cache)).toMatchObject({ digest, found: blocks })
  })

  it('a file that is cut off, a link, a directory, or not there', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    const { digest } = await build(tree, cache)
    await truncate(await path(cache), 1_500_000)
    const cut = await build(tree, cache)
    expect(cut.digest).toBe(digest)
    expect(cut.found).toBeGreaterThan(0)
    const file = await path(cache)
    await rename(file, join(cache, 'elsewhere'))
    await symlink(join(cache, 'elsewhere'), file)
    expect(await build(tree, cache)).toMatchObject({ digest, found: 0 })
    await rm(await path(cache))
    await mkdir(file)
    expect(await build(tree, cache)).toMatchObject({ digest, found: 0 })
  })

  it.each([
    ['nothing', ''],
    ['garbage', 'garbage'],
    ['a later version', '{"version":2}'],
    [
      'a way out',
      '{"version":1,"secret":"00000000000000000000000000000000","layers":{"../x":{"format":"","blocks":[]}}}',
    ],
    [
      'a number too large',
      `{"version":1,"secret":"${'0'.repeat(32)}","layers":{"sha256:${'0'.repeat(64)}.tar.gz":{"format":"gzip","blocks":[["${'0'.repeat(32)}","${'0'.repeat(32)}",0,1e300]]}}}`,
    ],
  ])('an index of blocks that is %s', async (_what, text) => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    const { digest } = await build(tree, cache)
    await writeFile(join(cache, 'committed', 'blocks.json'), text)
    expect(await build(tree, cache)).toMatchObject({ digest, found: 0 })
  })
})

describe('when nothing can be kept', () => {
  it('the layer is made all the same', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    await using writer = await directoryCache(cache, { compressed: true }).begin()
    await rm(join(cache, 'staging'), { recursive: true })
    const { chunks: recorder } = writer
    const layer = await compressLayer({ ...sourceOf(tree), ...(recorder && { chunks: recorder }) }, () => {})
    expect(layer.digest).toBe(await digestOf(tree))
  })

  it('nothing is left of a layer that did not come to its end', async () => {
    const [tree, cache] = [await makeTree(), await temporaryDirectory()]
    await using writer = await directoryCache(cache, { compressed: true }).begin()
    const { chunks: recorder } = writer
    let written = 0
    const failing = compressLayer({ ...sourceOf(tree), ...(recorder && { chunks: recorder }) }, () => {
      if (++written === 6) throw new Error('no more')
    })
    await expect(failing).rejects.toThrow('no more')
    const [own] = await readdir(join(cache, 'staging'))
    expect(await readdir(join(cache, 'staging', own!))).toEqual([])
  })
})
