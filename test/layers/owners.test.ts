import { chmod, lchown, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { unpackChanges } from '../../lifecycle/layers/tree/unpack.ts'
import { failureOf } from '../helpers/failure.ts'
import { giveOwners, readOwners } from '../../lifecycle/layers/tree/owners.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { layerMediaType } from '../../lifecycle/image/media-types.ts'
import { directory, entry, file, hardlink, streamOf, tar } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { readTree } from '../helpers/tree.ts'

const layers = (...tars: readonly Uint8Array[]) => tars.map(layerOf)

function layerOf(bytes: Uint8Array): Layer {
  const digest = digestOf(bytes)
  const mediaType = layerMediaType('none')
  return {
    kind: 'layer',
    diffId: digest,
    digest,
    size: bytes.length,
    mediaType,
    open: () => streamOf(bytes),
  }
}

describe('unpackChanges', () => {
  it('unpacks a layer alone, with a whiteout of overlayfs for each deleted entry', async () => {
    const dir = join(await temporaryDirectory(), 'layer')
    const [layer] = layers(tar(file('a/.wh.gone', ''), file('.wh.old', ''), file('new', 'x'), file('.wh.new', '')))
    await unpackChanges(layer as Layer, dir)
    for (const path of ['a/gone', 'old']) {
      const found = await lstat(join(dir, path))
      expect([found.isCharacterDevice(), found.rdev]).toEqual([true, 0])
    }
    expect(await readTree(dir)).toEqual({ new: 'x' })
  })

  it('makes one device for all deleted entries, under many names: each device takes a process', async () => {
    const dir = join(await temporaryDirectory(), 'layer')
    const names = ['a/one', 'b/c/two', 'three']
    const [layer] = layers(
      tar(...names.map(name => file(name.replace(/([^/]*)$/, '.wh.$1'), '')), file('.wh.\xff', ''), file('b/new', 'x')),
    )
    await unpackChanges(layer as Layer, dir)
    const found = await Promise.all(names.map(name => lstat(join(dir, name))))
    expect(found.map(({ rdev, nlink }) => [rdev, nlink])).toEqual(names.map(() => [0, 4]))
    expect(new Set(found.map(({ ino }) => ino)).size).toBe(1)
    expect(await readTree(join(dir, 'b'))).toEqual({ new: 'x' })
  })

  it.each([
    ['hides a directory', tar(directory('a/'), file('a/.wh..wh..opq', ''))],
    ['deletes through a link', tar(entry('out', { type: '2', link: '/etc' }), file('out/.wh.passwd', ''))],
  ])('refuses a layer that %s', async (_, bytes) => {
    const dir = join(await temporaryDirectory(), 'layer')
    const [layer] = layers(bytes)
    expect(await failureOf(unpackChanges(layer as Layer, dir))).toMatchObject({ code: 'input' })
    expect(await lstat(dir).catch(() => 'absent')).toBe('absent')
  })
})

describe('readOwners', () => {
  it('lists what is not root’s, and what has setuid or setgid', async () => {
    const owners = await readOwners(
      layers(
        tar(
          directory('home/cnb/', { uid: 1000, gid: 1001 }),
          file('bin/su', '', { mode: 0o4755 }),
          file('bin/ls', '', { mode: 0o755 }),
          entry('home/link', { type: '2', link: 'cnb', uid: 7, mode: 0o777 }),
          hardlink('bin/also', 'bin/su'),
        ),
      ),
    )
    expect(owners).toEqual([
      { path: 'bin/also', uid: 0, gid: 0, mode: 0o4755 },
      { path: 'bin/su', uid: 0, gid: 0, mode: 0o4755 },
      { path: 'home/cnb', uid: 1000, gid: 1001 },
      { path: 'home/link', uid: 7, gid: 0 },
    ])
  })

  it('leaves out what later layers replace or delete', async () => {
    const owners = await readOwners(
      layers(
        tar(
          file('a', '', { uid: 1 }),
          file('b', '', { uid: 1 }),
          file('d/e', '', { uid: 1 }),
          file('f/g', '', { uid: 1 }),
        ),
        tar(file('a', ''), file('.wh.b', ''), file('d', ''), file('f/.wh..wh..opq', ''), file('f/h', '', { uid: 2 })),
      ),
    )
    expect(owners).toEqual([{ path: 'f/h', uid: 2, gid: 0 }])
  })

  it('lists what later layers make again below a path that was deleted', async () => {
    const owners = await readOwners(
      layers(
        tar(file('a/b/c/d', '', { uid: 1 }), file('a/b/e', '', { uid: 1 }), file('ab', '', { uid: 1 })),
        tar(file('a/.wh.b', '')),
        tar(file('a/b/c/new', '', { uid: 2 })),
        tar(file('a/b/c', '', { uid: 3 })),
        tar(file('.wh..wh..opq', ''), file('a/b/c/last', '', { uid: 4 })),
        tar(directory('a/b', { uid: 5 })),
      ),
    )
    expect(owners).toEqual([
      { path: 'a/b', uid: 5, gid: 0 },
      { path: 'a/b/c/last', uid: 4, gid: 0 },
    ])
  })
})

describe.runIf(process.geteuid?.() === 0)('giveOwners', () => {
  it('gives them, follows no link, and leaves out what is not there or not the image’s', async () => {
    const dir = await temporaryDirectory()
    const outside = await temporaryDirectory()
    await mkdir(join(dir, 'home'))
    await writeFile(join(dir, 'su'), '')
    await writeFile(join(outside, 'file'), '')
    await chmod(join(outside, 'file'), 0o600)
    await symlink(outside, join(dir, 'out'))
    await symlink(join(outside, 'file'), join(dir, 'link'))
    await writeFile(join(dir, 'home/left'), '')
    await lchown(join(dir, 'home/left'), 3, 3)
    giveOwners(
      dir,
      [
        { path: 'su', uid: 5, gid: 6, mode: 0o4755 },
        { path: 'out/file', uid: 5, gid: 6 },
        { path: 'link', uid: 5, gid: 6, mode: 0o4777 },
        { path: 'gone/file', uid: 5, gid: 6 },
        { path: 'home/left', uid: 5, gid: 6 },
      ],
      path => path.startsWith('home'),
    )
    expect(await lstat(join(dir, 'su'))).toMatchObject({ uid: 5, gid: 6, mode: 0o104755 })
    expect(await lstat(join(dir, 'link'))).toMatchObject({ uid: 5, gid: 6 })
    expect(await lstat(join(dir, 'home/left'))).toMatchObject({ uid: 3, gid: 3 })
    expect(await lstat(join(outside, 'file'))).toMatchObject({ uid: 0, mode: 0o100600 })
  })
})
