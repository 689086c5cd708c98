import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BlobInfoCache } from '../../lifecycle/caches/blob-info-cache.ts'
import { cachedTrees } from '../../lifecycle/caches/cached-trees.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { fingerprintTree } from '../../lifecycle/layers/tree/fingerprint.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: a tree is taken whole, unchanged and once, or not at all; then its layer is unpacked instead.

const diffId = digestOf('a layer')

/** A cache whose last build left one tree, and a build that is about to take it. */
async function kept() {
  const dir = await temporaryDirectory()
  const discarded = join(dir, 'work')
  const path = join(dir, 'made')
  await mkdir(join(path, 'sub'), { recursive: true })
  await mkdir(discarded)
  await writeFile(join(path, 'sub/a'), 'hello')
  const index = await BlobInfoCache.open(dir)
  const fingerprint = (await fingerprintTree(path)) as string
  await cachedTrees(dir, index, discarded).checkin([{ diffId, path, fingerprint }])
  await index.save()
  return {
    dir,
    discarded,
    tree: join(dir, 'trees', diffId.slice(7)),
    to: join(dir, 'restored'),
    trees: cachedTrees(dir, await BlobInfoCache.open(dir), discarded),
  }
}

describe('kept trees', () => {
  it('are moved to the build, once', async () => {
    const { trees, to, tree } = await kept()
    expect(await trees.checkout(diffId, to)).toBe(true)
    expect(await readFile(join(to, 'sub/a'), 'utf8')).toBe('hello')
    expect(existsSync(tree)).toBe(false)
    expect(await trees.checkout(diffId, `${to}-again`)).toBe(false)
    expect(existsSync(`${to}-again`)).toBe(false)
  })

  it('are taken after a look at all of them, or left where they have changed', async () => {
    const { trees, to, tree } = await kept()
    trees.prefetch()
    expect(await trees.checkout(diffId, to)).toBe(true)
    const { trees: others, tree: other, to: place } = await kept()
    await writeFile(join(other, 'sub/b'), 'more')
    others.prefetch()
    expect(await others.checkout(diffId, place)).toBe(false)
    expect(existsSync(tree)).toBe(false)
    // A look is good for once: the tree may have come back since.
    expect(await trees.checkout(diffId, to)).toBe(false)
  })

  it('C09 are taken by one of two builds at once', async () => {
    const { trees, to } = await kept()
    const taken = await Promise.all([trees.checkout(diffId, to), trees.checkout(diffId, `${to}-too`)])
    expect(taken.filter(Boolean)).toHaveLength(1)
    expect(await readFile(join(taken[0] ? to : `${to}-too`, 'sub/a'), 'utf8')).toBe('hello')
  })

  it('stay where they are when something in them has changed', async () => {
    const { trees, to, tree } = await kept()
    await writeFile(join(tree, 'sub/a'), 'HELLO')
    expect(await trees.checkout(diffId, to)).toBe(false)
    expect(existsSync(to)).toBe(false)
  })

  it('are not trusted without an index: half a tree, or one of another boot', async () => {
    const { dir, discarded, to } = await kept()
    await writeFile(join(dir, 'known-layers.json'), '{}')
    expect(await cachedTrees(dir, await BlobInfoCache.open(dir), discarded).checkout(diffId, to)).toBe(false)
  })

  it('X24 are never a link', async () => {
    const { dir, trees, to, tree } = await kept()
    await trees.checkout(diffId, to)
    await symlink(to, tree)
    expect(await trees.checkout(diffId, join(dir, 'elsewhere'))).toBe(false)
  })

  it('make room for those of the next build', async () => {
    const { dir, discarded, to } = await kept()
    const index = await BlobInfoCache.open(dir)
    await mkdir(to)
    await cachedTrees(dir, index, discarded).checkin([{ diffId: digestOf('b'), path: to, fingerprint: 'f' }])
    expect(await readdir(join(dir, 'trees'))).toEqual([digestOf('b').slice(7)])
    expect(await readdir(discarded)).toEqual([])
  })
})
