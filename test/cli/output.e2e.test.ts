import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn, root, startBale } from '../helpers/bale.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/**
 * The oracle: the build ends soon, with one line that says why and no stack trace; it leaves nothing in its work directory;
 * the image of before is still there, and a clean run gives the reference digest.
 */
describe('an output that breaks', () => {
  const args = (image: string) => ['build', image, '--path', join(root, 'examples', 'procfile')]

  async function prepared(image: string) {
    const cache = await temporaryDirectory()
    mkdirSync(join(cache, 'bale'))
    const env = { XDG_CACHE_HOME: cache }
    const before = digestIn(await bale([...args(image), '--quiet'], { env }))
    const check = async (stderr: string): Promise<void> => {
      expect(stderr).not.toMatch(/\n\s+at /)
      expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2)
      expect(readdirSync(join(cache, 'bale', 'work'))).toEqual([])
      expect(digestIn(await bale([...args(image), '--quiet'], { env }))).toBe(before)
    }
    return { env, check }
  }

  it('O03 nobody reads it any more: 141, as for other programs', async () => {
    const { env, check } = await prepared('bale-test-pipe')
    const running = startBale(args('bale-test-pipe'), { env })
    running.child.stdout!.once('data', () => running.child.stdout!.destroy())
    const { code, stderr } = await running.ended
    expect(code).toBe(141)
    expect(stderr).toContain('the reader of the output closed it')
    await check(stderr)
  })

  it('O03 O04 it goes to a disk that is full', async () => {
    const { env, check } = await prepared('bale-test-full')
    const prefix = ['sh', '-c', 'exec "$@" >/dev/full', 'sh']
    const { code, stderr } = await bale(args('bale-test-full'), { env, prefix })
    expect(code).toBeGreaterThan(0)
    expect(stderr).toContain('standard output: it cannot be written: ENOSPC')
    await check(stderr)
  })
})
