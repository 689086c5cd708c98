import { cp, mkdir, readFile, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { digestOf, hexOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { killAtEveryWrite } from '../helpers/crash.ts'
import { interceptWrites, osError } from '../helpers/faults.ts'
import { bytesOf, configOf, noise, platform, sourceOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: after each kill or failure every name is one of the images, whole; the next build works and tidies up.

const kept = { '/layers/a/kept': 'kept' }
const added = { '/layers/a/added': noise(1000) }

async function put(store: ImageStore, names: string[], ...trees: (typeof kept | typeof added)[]): Promise<Image> {
  const layers = []
  for (const tree of trees) layers.push(await store.putLayer(sourceOf(tree, { piece: 4096 })))
  const image = makeImage(configOf(), layers)
  await store.putImage(image, names)
  return image
}

/** Each of these names is one of these images, with all its bytes. */
async function expectWhole(store: ImageStore, names: readonly string[], images: readonly Image[]): Promise<void> {
  for (const name of names) {
    const found = (await store.pull(name, platform)) ?? expect.unreachable(`${name} is lost`)
    expect(images.map(i => i.digest)).toContain(found.digest)
    for (const layer of found.layers) expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
  }
}

describe('OCI layout', () => {
  async function layout() {
    const dir = await temporaryDirectory()
    const before = await put(layoutStore(dir), ['old', 'latest'], kept)
    const after = await put(layoutStore(await temporaryDirectory()), ['new'], kept, added)
    return { dir, before, after }
  }

  /** Old and new images are there, names have not moved half, and the next build works and tidies up. */
  async function expectInOrder(
    dir: string,
    { before, after }: { before: Image; after: Image },
    { done, failed }: { done?: boolean | undefined; failed?: string } = {},
  ) {
    const store = layoutStore(dir)
    const isNew = (await store.pull('new', platform)) !== undefined
    if (done !== undefined) expect(isNew).toBe(done)
    await expectWhole(store, ['old'], [before])
    await expectWhole(store, isNew ? ['new', 'latest'] : ['latest'], [isNew ? after : before])
    await put(store, ['new', 'latest'], kept, added)
    await expectWhole(store, ['new', 'latest'], [after])
    await age(dir)
    await store.collectGarbage()
    // What could not be removed is somebody's for as long as the process lives, and this one does.
    const ours = failed === 'unlink' ? ['.staging'] : []
    expect((await readdir(dir)).filter(n => !ours.includes(n)).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])
    for (const name of await readdir(join(dir, 'blobs', 'sha256'))) {
      expect(hexOf(digestOf(await readFile(join(dir, 'blobs', 'sha256', name))))).toBe(name)
    }
  }

  it('C06 keeps its images when a writer is killed at any write', async () => {
    const images = await layout()
    const kills = await killAtEveryWrite('layout', images.dir, async (dir, killed) => {
      await expectInOrder(dir, images, { done: killed ? undefined : true })
    })
    expect(kills).toBeGreaterThan(15)
  }, 300_000)

  it.each(['EIO', 'ENOSPC'] as const)(
    'O04 keeps its images when any write fails: %s',
    async code => {
      const images = await layout()
      const failures = await failEveryWrite(
        code,
        images.dir,
        async dir => {
          await put(layoutStore(dir), ['new', 'latest'], kept, added)
          return dir
        },
        async (dir, failed) => expectInOrder(dir, images, { failed }),
      )
      expect(failures).toBeGreaterThan(8)
    },
    300_000,
  )
})

describe('archive', () => {
  async function archive() {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'tmp'))
    const before = await put(ociArchiveStore(join(dir, 'image.tar'), { tmpDir: join(dir, 'tmp') }), ['latest'], kept)
    await rm(join(dir, 'tmp'), { recursive: true })
    await mkdir(join(dir, 'tmp'))
    const after = await put(layoutStore(await temporaryDirectory()), ['new'], kept, added)
    return { dir, before, after }
  }

  it('C06 is the old one or the new one when its writer is killed at any write', async () => {
    const { dir, before, after } = await archive()
    const kills = await killAtEveryWrite('archive', dir, async (copy, killed) => {
      const store = ociArchiveStore(join(copy, 'image.tar'), { tmpDir: join(copy, 'tmp') })
      await expectWhole(store, ['latest'], killed ? [before, after] : [after])
    })
    expect(kills).toBeGreaterThan(15)
  }, 300_000)

  it.each(['EIO', 'ENOSPC'] as const)(
    'O04 is the old one, and nothing is left beside it, when a write fails: %s',
    async code => {
      const { dir, before, after } = await archive()
      await failEveryWrite(
        code,
        dir,
        async copy => {
          await put(ociArchiveStore(join(copy, 'image.tar'), { tmpDir: join(copy, 'tmp') }), ['latest'], kept, added)
          return copy
        },
        async (copy, failedCall) => {
          await expectWhole(ociArchiveStore(join(copy, 'image.tar'), { tmpDir: copy }), ['latest'], [before, after])
          const left = (await readdir(copy)).filter(name => name !== 'tmp')
          if (failedCall !== 'unlink') expect(left).toEqual(['image.tar'])
        },
      )
    },
    300_000,
  )
})

async function age(dir: string): Promise<void> {
  const old = new Date(Date.now() - 2 * 3600_000)
  for (const folder of ['.staging', join('blobs', 'sha256')]) {
    for (const name of await readdir(join(dir, folder)).catch(() => [])) await utimes(join(dir, folder, name), old, old)
  }
}

/** Runs `work` on copies of `before`, each time with a write more that succeeds before one fails; how many runs failed. */
async function failEveryWrite(
  code: 'EIO' | 'ENOSPC',
  before: string,
  work: (dir: string) => Promise<unknown>,
  check: (dir: string, failedCall: string) => Promise<void>,
): Promise<number> {
  const place = await temporaryDirectory()
  for (let failAt = 1, failures = 0; ; failAt++) {
    const dir = join(place, String(failAt))
    await cp(before, dir, { recursive: true })
    let failedCall = ''
    const faults = await interceptWrites(async call => {
      const concerned =
        code === 'EIO'
          ? call.number === failAt
          : call.number >= failAt && !/^(rm|rmdir|unlink|rename|utimes)$/.test(call.name)
      if (!concerned) return
      failedCall ||= call.name
      await call.half()
      throw osError(code, call.name)
    })
    const outcome = await work(dir).catch((error: unknown) => error)
    faults.restore()
    if (failedCall === '') return failures
    if (outcome instanceof Error) {
      failures++
      expect(outcome).toBeInstanceOf(BaleError)
      expect(outcome).toMatchObject({ code: 'filesystem' })
    }
    await check(dir, failedCall)
  }
}
