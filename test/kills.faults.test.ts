import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Builds, type Home, expectWhole, filesIn, newHome, variants } from './helpers/builds.ts'
import { Random, countOf, seed } from './helpers/seed.ts'

/**
 * The oracle after each kill: the image is complete and belongs to one of the builds. The cache is a complete generation. The
 * next build succeeds without manual repair and gives the reference digest. Other files are unchanged, and the disk holds no
 * files of the killed build.
 */
describe(`kills, seed ${seed}`, () => {
  const wanted = countOf(300)

  it(`C06 O02 X16 ${wanted} at any moment of a build: the next one works, and gives the reference digest`, async () => {
    const builds = await Builds.prepared()
    const { digests, longest } = await builds.reference()
    let [kills, started] = [0, 0]
    const worker = async (home: Home): Promise<void> => {
      for (const variant of variants) await builds.run(home, variant)
      const before = await filesIn(home)
      while (kills < wanted) {
        const random = new Random(seed, started++)
        const killed = await builds.run(home, random.oneOf(variants), { killAfter: random.below(longest) })
        if (killed.status === 'killed') kills++
        await expectWhole(home, digests.values())
        const variant = random.oneOf(variants)
        const { status, last, warnings } = await builds.run(home, variant)
        expect({ status, last, warnings }).toEqual({ status: 0, last: digests.get(variant), warnings: [] })
        const after = await filesIn(home)
        expect(after.paths).toEqual(before.paths)
        expect(after.bytes).toBeLessThan(before.bytes * 1.1)
      }
    }
    const store = await newHome()
    const archive = await newHome()
    // As many as there are cores in CI, each with a home of its own.
    await Promise.all([
      worker(store),
      worker({ ...archive, image: `oci-archive:${join(archive.dir, 'out', 'app.tar')}` }),
    ])
    console.log(`${kills} kills in ${started} builds of at most ${Math.round(longest)} ms`)
    expect(kills).toBeGreaterThanOrEqual(wanted)
  }, 1_200_000)
})
