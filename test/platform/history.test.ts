import { chown, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BuildFacts, BuildHistory, changesSince, kept } from '../../lifecycle/platform/history.ts'
import { failureOf } from '../helpers/failure.ts'
import { skip } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const layer = (name: string, diffId: string, kind: 'app' | 'buildpack' | 'launcher' = 'buildpack') => {
  return { name, kind, diffId, made: true }
}
const facts = (changes: Partial<BuildFacts> = {}): BuildFacts => ({
  time: '2026-01-02T03:04:05.000Z',
  image: 'index.docker.io/library/app:latest',
  result: 'built',
  digest: 'sha256:aa',
  milliseconds: 5,
  buildpacks: [{ id: 'test/a', version: '1.0.0' }],
  runImage: 'sha256:run',
  layers: [layer('test/a:deps', 'sha256:1'), layer('app', 'sha256:2', 'app')],
  ...changes,
})

describe('what changed since the last build', () => {
  it.each([
    ['nothing', {}],
    ['settings', { digest: 'sha256:bb' }],
    ['run image', { runImage: 'sha256:other' }],
    ['buildpack test/a 1.0.0 → 1.1.0', { buildpacks: [{ id: 'test/a', version: '1.1.0' }] }],
    ['buildpack test/a is removed', { buildpacks: [] }],
    ['layer test/a:deps', { layers: [layer('test/a:deps', 'sha256:9'), layer('app', 'sha256:2', 'app')] }],
    ['layer test/a:deps is removed', { layers: [layer('app', 'sha256:2', 'app')] }],
    [
      'application',
      {
        layers: [
          layer('test/a:deps', 'sha256:1'),
          layer('app', 'sha256:9', 'app'),
          layer('slice-1', 'sha256:8', 'app'),
        ],
      },
    ],
  ] as [string, Partial<BuildFacts>][])('is %s', (expected, changes) => {
    expect(changesSince(facts(), facts(changes))).toEqual([expected])
  })

  it('is all of it for the first one', () => {
    expect(changesSince(undefined, facts())).toEqual(['first build'])
  })
})

describe('the history of builds', () => {
  it('has the builds of an app, the last one first, and what they printed', async () => {
    const history = new BuildHistory(join(await temporaryDirectory(), 'data'))
    expect(await history.list()).toEqual([])
    await history.add('app', facts(), 'one\n')
    await history.add(
      'app',
      facts({ result: 'failed', digest: undefined, error: { code: 'failed', message: 'why' } }),
      'two\n',
    )
    await history.add('app', facts({ time: '2026-01-03T00:00:00.000Z' }), 'three\n')
    await history.add('other', facts({ time: '2026-01-01T00:00:00.000Z' }), '')
    const builds = await history.list('app')
    expect(builds.map(b => [b.build, b.result, b.changed])).toEqual([
      [3, 'built', ['nothing']],
      [2, 'failed', []],
      [1, 'built', ['first build']],
    ])
    expect(await history.log('app', 2)).toBe('two\n')
    expect((await history.list()).map(b => b.build)).toEqual([3, 2, 1, 1])
    expect(await history.log('app', 9)).toBeUndefined()
    expect(await history.list('none')).toEqual([])
  })

  it('is bounded: builds of an app, their output, and apps', async () => {
    const data = join(await temporaryDirectory(), 'data')
    const history = new BuildHistory(data)
    for (let n = 0; n < kept.builds + 3; n++) await history.add('app', facts(), 'log')
    const builds = await history.list('app')
    expect([builds.length, builds[0]?.build, builds.at(-1)?.build]).toEqual([kept.builds, kept.builds + 3, 4])
    const logs = async () => (await readdir(join(data, 'history'))).filter(name => name.endsWith('.log')).length
    expect(await logs()).toBe(kept.logs)
    for (let n = 0; n < kept.apps + 2; n++) await history.add(`app-${n}`, facts(), 'log')
    const files = await readdir(join(data, 'history'))
    expect(files.filter(name => name.endsWith('.json'))).toHaveLength(kept.apps)
    expect(await logs()).toBe(kept.apps)
  })

  it('counts builds that end at the same time', async () => {
    const history = new BuildHistory(join(await temporaryDirectory(), 'data'))
    await Promise.all(Array.from({ length: 8 }, () => history.add('app', facts(), 'log')))
    expect((await history.list('app')).map(b => b.build).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('starts anew where it is damaged', async () => {
    const data = join(await temporaryDirectory(), 'data')
    const history = new BuildHistory(data)
    await history.add('app', facts(), 'log')
    const [file = ''] = (await readdir(join(data, 'history'))).filter(name => name.endsWith('.json'))
    for (const damage of ['', '{', '[]', '{"app":"app","builds":[{"build":-1}]}', '{"app":"app","builds":[{}]}']) {
      await writeFile(join(data, 'history', file), damage)
      expect(await history.list('app')).toEqual([])
    }
    expect((await history.add('app', facts(), 'log')).build).toBe(1)
  })

  it('X44 is nobody else’s', async context => {
    const data = join(await temporaryDirectory(), 'data')
    await new BuildHistory(data).add('app', facts(), 'log')
    expect((await stat(join(data, 'history'))).mode & 0o777).toBe(0o700)
    if (process.geteuid?.() !== 0) return skip(context, 'only root can give a directory away')
    await chown(data, 12_345, 12_345)
    for (const use of [() => new BuildHistory(data).list(), () => new BuildHistory(data).add('app', facts(), '')])
      expect(await failureOf(use())).toMatchObject({ code: 'filesystem', where: data })
  })
})
