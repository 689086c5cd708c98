import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Builds, type Ended, type Home, expectWhole, filesIn, newHome } from './helpers/builds.ts'
import { Random, countOf, seed } from './helpers/seed.ts'
import { skip } from './helpers/skip.ts'

/**
 * The oracle for a build whose disk fails: it ends with the image, or with an error that names the place and the fix. If the
 * cache is not writable, Bale prints a warning. Image and cache are completely old or completely new. The next build, with a
 * working disk, gives the reference digest and removes the leftovers.
 */
function expectHonest({ status, last, warnings }: Ended, dir: string, digest: string): void {
  if (status === 0) {
    expect(last).toBe(digest)
    for (const warning of warnings) expect(warning).toContain('the cache could not be written')
    return
  }
  expect(last).toMatch(/^filesystem: /)
  expect(last).toContain(dir)
  expect(last).toMatch(/(ENOSPC|EDQUOT|EIO|the disk is full)/)
  if (/ENOSPC|EDQUOT/.test(last)) expect(last).toMatch(/ \| free some space/)
}

const kinds = {
  'the store': (home: Home) => home,
  'an archive': (home: Home) => ({ ...home, image: `oci-archive:${join(home.dir, 'out', 'app.tar')}` }),
  'a layout': (home: Home) => ({ ...home, image: `oci:${join(home.dir, 'out', 'app')}` }),
}

describe(`faults of the disk, seed ${seed}`, () => {
  const wanted = countOf(40)

  it(`C07 O04 ENOSPC, EDQUOT and EIO at ${wanted} of the writes of a build`, async () => {
    const builds = await Builds.prepared()
    const { digests } = await builds.reference()
    const digest = digests.get('two')!
    let [met, started] = [0, 0]
    const worker = async (): Promise<void> => {
      while (met < wanted) {
        const random = new Random(seed, started++)
        const home = random.oneOf(Object.values(kinds))(await newHome())
        await builds.run(home, 'one')
        const before = await filesIn(home)
        const fail = `${random.oneOf(['ENOSPC', 'EDQUOT', 'EIO'])} ${1 + random.below(140)}`
        const ended = await builds.run(home, 'two', { fail })
        if (ended.status !== 0 || ended.warnings.length > 0) met++
        expectHonest(ended, home.dir, digest)
        await expectWhole(home, digests.values())
        expect(await builds.run(home, 'two')).toMatchObject({ status: 0, last: digest, warnings: [] })
        expect((await filesIn(home)).paths).toEqual(before.paths)
      }
    }
    await Promise.all([worker(), worker()])
    console.log(`${met} builds of ${started} were hit by a write that failed`)
  }, 1_200_000)

  it.for(Object.entries(kinds))('C07 O04 a disk that is full at some moment: %s', async ([, kind], context) => {
    const small = await newHome()
    const mount = join(small.dir, 'disk')
    mkdirSync(mount)
    const resize = (options: string): unknown => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount])
    try {
      resize('size=64m')
    } catch (error) {
      return skip(context, `no tmpfs can be mounted: ${(error as Error).message}`)
    }
    onTestFinished(() => void execFileSync('umount', [mount]))
    const builds = await Builds.prepared()
    const { digests } = await builds.reference()
    const home = kind(await newHome(mount))
    await builds.run(home, 'one')
    let failures = 0
    let last: Ended | undefined
    for (let room = 0; last === undefined || last.status !== 0 || last.warnings.length > 0; room += 120_000) {
      const used = Number(execFileSync('df', ['--output=used', '-B1', mount], { encoding: 'utf8' }).split('\n')[1])
      resize(`remount,size=${used + room}`)
      last = await builds.run(home, 'two')
      expectHonest(last, mount, digests.get('two')!)
      await expectWhole(home, digests.values())
      if (last.status !== 0) failures++
      resize('remount,size=64m')
      expect(await builds.run(home, 'one')).toMatchObject({ status: 0, last: digests.get('one'), warnings: [] })
    }
    expect(failures).toBeGreaterThan(1)
  })
})
