import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, readFile, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { leaseName } from '../../lifecycle/files/lease.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { fingerprintTree } from '../../lifecycle/layers/tree/fingerprint.ts'
import { diffIdOf, fill, metadataOf, read } from '../contracts/caches.ts'
import { killAtEveryWrite } from '../helpers/crash.ts'
import { failureOf } from '../helpers/failure.ts'
import { interceptWrites, osError } from '../helpers/faults.ts'
import { type Files, bytesOf, noise, sourceOf, tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { skip } from '../helpers/skip.ts'
import { asOrdinaryUser } from '../helpers/user.ts'

// The oracle: after each fault, the cache is one complete generation, or there is none and a warning. A fault only costs time:
// the next build finds or makes everything, and removes the leftovers. Bale follows no planted link, and changes no file
// outside the cache.

const kept = { '/layers/a/kept': 'kept' }
const dropped = { '/layers/a/dropped': 'dropped' }
const added = { '/layers/a/added': noise(1000) }
const trees: Record<string, Files> = { kept, dropped, added }

/** The cache holds a whole generation, one of these; the layers of it. */
async function expectWhole(dir: string, generations: readonly (readonly string[])[]): Promise<void> {
  const warnings: string[] = []
  const cache = directoryCache(dir, { onWarning: text => warnings.push(text) })
  const layers = (await cache.metadata())?.buildpacks[0]?.layers ?? expect.unreachable('the cache is lost')
  expect(generations).toContainEqual(Object.keys(layers).sort())
  for (const [name, { sha }] of Object.entries(layers)) {
    expect(sha).toBe(await diffIdOf(trees[name]!))
    expect(await read(cache, trees[name]!)).toEqual(await tarOf(trees[name]!))
  }
  expect(warnings).toEqual([])
}

/** The next build finds everything in order, and leaves nothing of the accident behind. */
async function expectUsable(dir: string): Promise<void> {
  await fill(directoryCache(dir), { kept, added })
  await expectWhole(dir, [['added', 'kept']])
  expect((await readdir(dir)).sort()).toEqual(['committed', 'staging'])
  expect(await readdir(join(dir, 'staging'))).toEqual([])
}

async function twoLayers(): Promise<string> {
  const dir = await temporaryDirectory()
  await fill(directoryCache(dir), { kept, dropped })
  return dir
}
const generations = [
  ['dropped', 'kept'],
  ['added', 'kept'],
]

describe('kills', () => {
  it('C06 at every write leave the one generation or the other, whole', async () => {
    const before = await twoLayers()
    const kills = await killAtEveryWrite('cache', before, async (dir, killed) => {
      await expectWhole(dir, killed ? generations : [generations[1]!])
      await expectUsable(dir)
    })
    expect(kills).toBeGreaterThan(15)
  }, 300_000)

  it('C06 between the two renames lose nothing, even when nobody can write afterwards', async () => {
    const dir = await twoLayers()
    await rename(join(dir, 'committed'), join(dir, 'committed-backup'))
    await expectWhole(dir, [generations[0]!])
    await expectUsable(dir)
  })

  it('C06 after the second rename leave a backup, which is not taken for the cache', async () => {
    const dir = await twoLayers()
    await cp(join(dir, 'committed'), join(dir, 'committed-backup'), { recursive: true })
    await fill(directoryCache(dir), { kept, added })
    await expectWhole(dir, [generations[1]!])
    await expectUsable(dir)
  })

  it('C19 go round a backup that cannot be moved or deleted, which freezes nothing', async context => {
    const dir = await twoLayers()
    const backup = join(dir, 'committed-backup')
    await mkdir(backup)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', 'none', backup], { encoding: 'utf8' })
    if (mounted.status !== 0) return skip(context, `a mount cannot be made: ${mounted.stderr}`)
    try {
      for (const round of [added, { '/layers/a/added': noise(2000) }]) {
        const metadata = await fill(directoryCache(dir), { kept, added: round })
        expect((await directoryCache(dir).metadata())?.buildpacks).toEqual(metadata.buildpacks)
      }
    } finally {
      spawnSync('umount', [backup])
    }
  })

  it('C10 leave directories in staging, of which those of the dead are swept up', async () => {
    const dir = await twoLayers()
    const dead = leaseName().replace(/\.\d+(\.[0-9a-f]{12})$/, '.1$1')
    for (const name of [dead, leaseName(), 'somebody-elses', 'old']) await mkdir(join(dir, 'staging', name))
    await writeFile(join(dir, 'staging', dead, 'x'), 'x')
    const longAgo = new Date(Date.now() - 25 * 3600_000)
    await utimes(join(dir, 'staging', 'old'), longAgo, longAgo)
    await using _writer = await directoryCache(dir).begin()
    const left = await readdir(join(dir, 'staging'))
    expect(left).toContain('somebody-elses')
    expect(left).toHaveLength(3) // ours from above, somebody's, and the writer's
  })
})

describe('faults of the disk', () => {
  it.each(['EIO', 'ENOSPC', 'EDQUOT'] as const)(
    'C07 %s at every write leaves the one generation or the other, whole',
    async code => {
      const before = await twoLayers()
      const place = await temporaryDirectory()
      let failures = 0
      for (let failAt = 1; ; failAt++) {
        const dir = join(place, String(failAt))
        await cp(before, dir, { recursive: true })
        let hit = ''
        const faults = await interceptWrites(async call => {
          // A full disk stays full, but things can be deleted; an I/O error hits any call, once.
          const concerned =
            code === 'EIO'
              ? call.number === failAt
              : call.number >= failAt && !/^(rm|rmdir|unlink|rename)$/.test(call.name)
          if (!concerned) return
          hit = call.name
          await call.half()
          throw osError(code, call.name)
        })
        const outcome = await fill(directoryCache(dir), { kept, added }).catch((error: unknown) => error)
        faults.restore()
        if (hit === '') break
        if (outcome instanceof Error) {
          failures++
          expect(outcome).toBeInstanceOf(BaleError)
          expect(outcome).toMatchObject({ code: 'filesystem', where: expect.stringContaining(dir) as string })
          await expectWhole(dir, [generations[0]!, generations[1]!])
        } else {
          await expectWhole(dir, [generations[1]!])
        }
        // What could not be deleted is ours as long as we live; the next process will sweep it up.
        if (hit === 'rm') await rm(join(dir, 'staging'), { recursive: true })
        await expectUsable(dir)
      }
      expect(failures).toBeGreaterThan(8)
    },
    300_000,
  )

  it('C11 has every byte and name on the disk before the generation gets its name', async () => {
    const dir = await twoLayers()
    const calls: string[] = []
    const faults = await interceptWrites(call => void calls.push(call.name))
    await fill(directoryCache(dir), { added })
    faults.restore()
    const steps = calls.slice(calls.lastIndexOf('write')).filter(name => ['write', 'sync', 'rename'].includes(name))
    // The metadata, the last file of the generation, its name, the directory; then the swap, and its directory.
    expect(steps.slice(0, 7)).toEqual(['write', 'sync', 'rename', 'sync', 'rename', 'rename', 'sync'])
  })

  it('C08 reads from a directory that it may not write, and says why it cannot write', async () => {
    const dir = await twoLayers()
    await chmod(dir, 0o555)
    await chmod(join(dir, 'staging'), 0o555)
    await asOrdinaryUser(async () => {
      await expectWhole(dir, [generations[0]!])
      const error = await failureOf(directoryCache(dir).begin())
      expect(error).toMatchObject({ code: 'filesystem', fix: expect.stringContaining('access') as string })
      expect(await failureOf(directoryCache(join(dir, 'none')).begin())).toMatchObject({ code: 'filesystem' })
    })
    await chmod(dir, 0o755)
    await chmod(join(dir, 'staging'), 0o755)
    await expectUsable(dir)
  })

  it('C12 does without hard links', async () => {
    const dir = await twoLayers()
    const faults = await interceptWrites(call => {
      if (call.name === 'link') throw osError('EPERM', 'link')
    })
    for (const known of [undefined, { diffId: await diffIdOf(kept), digest: digestOf(''), size: 0, mediaType: '' }]) {
      await using writer = await directoryCache(dir).begin()
      const { diffId } = await writer.put({ ...sourceOf(kept), ...(known && { known }) })
      await writer.commit(metadataOf({ kept: diffId }))
    }
    faults.restore()
    await expectWhole(dir, [['kept']])
  })

  it('C17 does not care for the time', async () => {
    const dir = await twoLayers()
    const future = new Date(Date.now() + 10 * 365 * 24 * 3600_000)
    for (const path of ['committed', 'staging', '.']) await utimes(join(dir, path), future, future)
    await expectUsable(dir)
  })

  it('C17 takes nothing for unchanged when the clock was set back, and can be used', async () => {
    const dir = await twoLayers()
    const tree = await temporaryDirectory()
    await writeFile(join(tree, 'file'), 'x')
    expect(await fingerprintTree(tree)).toBeDefined()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 24 * 3600_000 })
    onTestFinished(() => void vi.useRealTimers())
    // Every file of the cache and of the tree is of tomorrow now.
    expect(await fingerprintTree(tree)).toBeUndefined()
    await expectWhole(dir, [generations[0]!])
    await expectUsable(dir)
  })
})

describe('what somebody else put there', () => {
  it('C13 T06 is read through no link, and written through none', async () => {
    const secret = join(await temporaryDirectory(), 'secret')
    const file = `${await diffIdOf(kept)}.tar`
    for (const planted of [
      join('committed', file),
      join('committed', 'io.buildpacks.lifecycle.cache.metadata'),
      'committed',
      'staging',
    ]) {
      const dir = await twoLayers()
      const elsewhere = await temporaryDirectory()
      await writeFile(join(elsewhere, file), 'not mine')
      await writeFile(secret, await tarOf(kept))
      await rm(join(dir, planted), { recursive: true })
      await symlink(planted.includes('/') ? secret : elsewhere, join(dir, planted))
      const warnings: string[] = []
      const cache = directoryCache(dir, { onWarning: text => warnings.push(text) })
      if (planted === 'staging') {
        expect(await failureOf(cache.begin())).toBeInstanceOf(BaleError)
        expect(await readdir(elsewhere)).toEqual([file])
        continue
      }
      const opened = planted.endsWith('metadata') ? await cache.metadata() : await cache.open(await diffIdOf(kept))
      expect(opened).toBeUndefined()
      expect(warnings).toHaveLength(1)
      await expectUsable(dir)
      expect(await readdir(elsewhere)).toEqual([file])
      expect(await readFile(secret)).toEqual(await tarOf(kept))
    }
  })

  it('C13 is not read if it is a directory or a device', async () => {
    const dir = await twoLayers()
    const path = join(dir, 'committed', `${await diffIdOf(kept)}.tar`)
    await rm(path)
    await mkdir(path)
    const warnings: string[] = []
    const cache = directoryCache(dir, { onWarning: text => warnings.push(text) })
    expect(await cache.open(await diffIdOf(kept))).toBeUndefined()
    expect(warnings[0]).toContain('not a regular file')
    await expectUsable(dir)
  })

  it('C14 leaves one app’s cache alone when another’s is written', async () => {
    const [one, two] = [await twoLayers(), await temporaryDirectory()]
    await fill(directoryCache(two), { added })
    await expectWhole(one, [generations[0]!])
    expect(await directoryCache(two).open(await diffIdOf(dropped))).toBeUndefined()
  })

  it('is a file where the cache should be', async () => {
    const file = join(await temporaryDirectory(), 'file')
    await writeFile(file, 'x')
    const warnings: string[] = []
    const cache = directoryCache(file, { onWarning: text => warnings.push(text) })
    expect(await cache.metadata()).toBeUndefined()
    expect(await failureOf(cache.begin())).toMatchObject({ code: 'filesystem' })
    expect((await lstat(file)).isFile()).toBe(true)
  })

  it('C02 lacks a layer that its metadata has', async () => {
    const dir = await twoLayers()
    await rm(join(dir, 'committed', `${await diffIdOf(kept)}.tar`))
    const warnings: string[] = []
    const cache = directoryCache(dir, { onWarning: text => warnings.push(text) })
    expect(await cache.open(await diffIdOf(kept))).toBeUndefined()
    expect(warnings[0]).toContain(await diffIdOf(kept))
    expect(await read(cache, dropped)).toEqual(await tarOf(dropped))
    await expectUsable(dir)
  })

  it('C09 is deleted by a pruner while it is being written', async () => {
    const dir = await twoLayers()
    await using writer = await directoryCache(dir).begin()
    await writer.put(sourceOf(kept))
    await rm(dir, { recursive: true })
    expect(await failureOf(writer.put(sourceOf(added)))).toMatchObject({ code: 'filesystem' })
    expect(await failureOf(writer.commit(metadataOf({})))).toMatchObject({ code: 'filesystem' })
    await expectUsable(dir)
  })

  it('is deleted while a layer is being read', async () => {
    const dir = await temporaryDirectory()
    await fill(directoryCache(dir), { added })
    const layer = await directoryCache(dir).open(await diffIdOf(added))
    await rm(dir, { recursive: true })
    expect(await failureOf(bytesOf(layer!))).toBeInstanceOf(BaleError)
  })
})
