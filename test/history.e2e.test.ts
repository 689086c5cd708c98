import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

interface Build {
  readonly build: number
  readonly result: string
  readonly digest?: string
  readonly changed: readonly string[]
}

describe('bale history and bale logs', () => {
  it('say what became of each build of an app, and what it printed', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'app/Procfile': 'web: echo hello\n', 'empty/nothing': '' })
    const image = `bale-test-history-${process.pid}-${Date.now()}`
    const build = (source: string, ...flags: string[]) => bale(['build', image, '--path', join(dir, source), ...flags])
    const first = digestIn(await build('app', '--quiet'))
    await build('app')
    await writeFile(join(dir, 'app/more'), 'more')
    const third = digestIn(await build('app', '--quiet'))
    expect((await build('empty')).code).toBe(20)
    const { stdout, output } = await bale(['history', image, '--output', 'json'])
    const { builds } = JSON.parse(stdout) as { builds: Build[] }
    expect(
      builds.map(b => [b.build, b.result, b.digest, b.changed]),
      output,
    ).toEqual([
      [4, 'failed', undefined, []],
      [3, 'built', third, ['application']],
      [2, 'built', first, ['nothing']],
      [1, 'built', first, ['first build']],
    ])
    const table = (await bale(['history', image])).stdout
    expect(table).toMatch(/^BUILD +TIME +IMAGE +RESULT +DIGEST +TOOK +CHANGED\n4 .* failed .*no group of buildpacks/)
    expect((await bale(['history'])).stdout).toContain(image)
    // All that is known, also where the build was asked to say little.
    expect((await bale(['logs', image, '1'])).stdout).toContain(`Digest: ${first}`)
    expect((await bale(['logs', image])).stdout).toMatch(/DETECTING[^]*ERROR: no group of buildpacks/)
    for (const [args, why] of [
      [['logs', image, '99'], 'there is no build 99'],
      [['logs', image, 'x'], 'is not the number of a build'],
      [['logs', `${image}-not`], 'no build of'],
    ] as const) {
      const refused = await bale(args)
      expect([refused.code === 0, refused.stderr]).toEqual([false, expect.stringContaining(why)])
    }
    await bale(['image', 'rm', image])
    await rm(dir, { recursive: true })
  })
})
