import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { BaleError, exitStatus } from '../../lifecycle/errors.ts'
import type { BuildEvent } from '../../lifecycle/events.ts'
import { layerTar } from '../../lifecycle/layers/layer-tar.ts'
import { type BuildResult, build } from '../../lifecycle/platform/build-app.ts'
import { type BuildOutcome, buildEvents } from '../../lifecycle/platform/build-events.ts'
import type { BuildOptions } from '../../lifecycle/platform/build-options.ts'
import { type Script, builds, detects, fakeEngine, group, machine } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const typesOf = (events: readonly { readonly type: string }[]): string[] => events.map(e => e.type)

describe('build', () => {
  it('runs the phases in their order, and gives the image its name', async () => {
    const { options, reporter, pull } = await machine(fakeEngine({ detector: detects(), builder: builds() }))
    const result = await build(options)
    const phases = reporter.events.flatMap(e => (e.type === 'phase-started' ? [e.phase] : []))
    expect(phases).toEqual(['analyze', 'detect', 'restore', 'build', 'export'])
    expect(result.group).toEqual([{ id: 'test/bp', version: '1.0.0', api: '0.12' }])
    expect(result.names).toEqual(['index.docker.io/library/app:latest'])
    expect((await pull())?.digest).toBe(result.published.digest)
  })

  it('K15 shows the sandbox proxies, the platform API and no other variable of the caller', async () => {
    const engine = fakeEngine({ detector: detects(), builder: builds() })
    const { options } = await machine(engine)
    await build(options)
    for (const { env } of engine.runs) {
      expect(Object.keys(env).sort()).toEqual(
        ['BALE_LOG_FORMAT', 'CNB_PLATFORM_API', 'HOME', 'HTTP_PROXY', 'PATH'].sort(),
      )
      expect(JSON.stringify(env)).not.toContain('canary')
    }
    const [detect, built] = engine.runs.map(run => run.mounts.find(m => m.path === '/workspace')?.access)
    expect([detect, built]).toEqual(['read-only', 'read-write'])
  })

  it('has the application where the user says, in the sandbox and in the image, and reuses nothing from elsewhere', async () => {
    const engine = fakeEngine({ detector: detects(), builder: builds() })
    const { options, reporter, pull } = await machine(engine)
    await build(options)
    const moved = await build({ ...options, workspace: '/srv/app' })
    for (const run of engine.runs.slice(2)) {
      expect(run.workingDir).toBe('/srv/app')
      expect(run.env).toMatchObject({ CNB_APP_DIR: '/srv/app' })
      expect(run.mounts.map(m => m.path)).toContain('/srv/app')
      expect(run.mounts.map(m => m.path)).not.toContain('/workspace')
    }
    const config = (await pull())?.config.config
    expect(config?.WorkingDir).toBe('/srv/app')
    expect(config?.Env).toContain('CNB_APP_DIR=/srv/app')
    const notes = reporter.events.flatMap(e => (e.type === 'note' ? [e.text] : []))
    expect(notes).toContain('The application was in /workspace, so data of earlier builds is not used')
    expect((await build({ ...options, workspace: '/srv/app' })).published.digest).toBe(moved.published.digest)
    const error = await failureOf(build({ ...options, workspace: '/etc/app' }))
    expect(error).toMatchObject({ code: 'arguments', where: '--workspace "/etc/app"' })
    const inside = { hostPath: options.path ?? '', path: '/srv/app', access: 'read-only' } as const
    expect(engine.runs.length).toBe(6)
    expect(await failureOf(build({ ...options, workspace: '/srv/app', volumes: [inside] }))).toMatchObject({
      where: '--volume',
    })
  })

  it('compresses layers at the level that is asked for, also those that the last build made at another one', async () => {
    const text = Array.from({ length: 40_000 }, (_, i) => `${(i * i) % 9973} lines of ${i}\n`).join('')
    const engine = fakeEngine({ detector: detects(), builder: builds({ 'test_bp/deps/text': text }) })
    const { options, pull } = await machine(engine)
    const largest = async (level?: number, compression?: 'zstd') => {
      await build({ ...options, compression, compressionLevel: level })
      const image = await pull()
      return Math.max(...(image?.layers ?? []).map(({ size }) => size))
    }
    const [fast, small, again] = [await largest(), await largest(9), await largest()]
    expect(small).toBeLessThan(fast)
    expect(again).toBe(fast)
    expect(await largest(19, 'zstd')).toBeLessThan(await largest(1, 'zstd'))
  })

  it.each([
    [{ compressionLevel: 10 }, 'gzip has no such level', 'write a number from 0 to 9'],
    [{ compression: 'zstd', compressionLevel: 0 }, 'zstd has no such level', 'write a number from 1 to 22'],
    [{ compressionLevel: 1.5 }, 'gzip has no such level', 'write a number from 0 to 9'],
    [
      { compression: 'none', compressionLevel: 1 },
      'layers without compression have no level',
      'leave it out, or use gzip or zstd',
    ],
  ] as const)('refuses %j before it runs anything', async (given, message, fix) => {
    const engine = fakeEngine({ detector: detects(), builder: builds() })
    const { options } = await machine(engine)
    const where = `compressionLevel ${given.compressionLevel}`
    expect(await failureOf(build({ ...options, ...given }))).toMatchObject({ code: 'usage', message, where, fix })
    expect(engine.runs).toEqual([])
  })

  describe('K16 the password of a proxy', () => {
    const HTTPS_PROXY = 'http://ann:s3cret%2Fw0rd@proxy:3128'
    const forms = ['s3cret/w0rd', 's3cret%2Fw0rd', Buffer.from('ann:s3cret/w0rd').toString('base64')]

    /** A build whose buildpacks print their variables, as tools do that say what they use. */
    async function told(environment: Record<string, string>, options: Partial<BuildOptions> = {}) {
      const engine = fakeEngine({
        async detector(run, mounted) {
          for (const text of [JSON.stringify(run.env), ...forms]) await run.onOutput('stdout', Buffer.from(`${text}\n`))
          await detects()(run, mounted)
        },
        builder: builds(),
      })
      const made = await machine(engine)
      await build({ ...made.options, ...options, settings: { ...made.options.settings, environment } })
      return { runs: engine.runs, events: made.reporter.events, text: JSON.stringify(made.reporter.events) }
    }
    const warnings = (events: readonly BuildEvent[]) => events.flatMap(e => (e.type === 'warning' ? [e.text] : []))

    it('reaches buildpacks with a warning, and is masked in what they print', async () => {
      const { runs, events, text } = await told({ HTTPS_PROXY, NO_PROXY: 'localhost' })
      expect(runs.map(run => run.env['HTTPS_PROXY'])).toEqual([HTTPS_PROXY, HTTPS_PROXY])
      expect(warnings(events)).toEqual([expect.stringMatching(/can read the password in HTTPS_PROXY$/)])
      expect(text).toContain('http://ann:***@proxy:3128') // it was printed
      for (const form of forms) expect(text).not.toContain(form)
    })

    it('does not reach them without a network', async () => {
      const { runs, events } = await told({ HTTPS_PROXY }, { network: 'none' })
      expect(runs).toHaveLength(2)
      for (const { env } of runs) expect(env).not.toHaveProperty('HTTPS_PROXY')
      expect(warnings(events)).toEqual([])
    })

    it.each([
      ['ann:s3cret/w0rd@proxy:3128', 1],
      ['http://proxy:3128', 0],
      ['http://ann@proxy:3128', 0],
      ['proxy:3128', 0],
    ])('is seen in %s: %d warnings', async (value, count) => {
      const { events, text } = await told({ all_proxy: value })
      expect(warnings(events)).toHaveLength(count)
      if (count > 0) expect(text).not.toContain('s3cret/w0rd')
    })
  })

  it('tells detect the target, from the files of a run image without labels', async () => {
    let analyzed = ''
    const detector: Script = async (run, mounted) => {
      analyzed = await readFile(join(mounted('/layers'), 'analyzed.toml'), 'utf8')
      return detects()(run, mounted)
    }
    const { options } = await machine(fakeEngine({ detector, builder: builds() }))
    await build(options)
    expect(analyzed).toContain('name = "debian"')
    expect(analyzed).toContain('version = "13"')
  })

  it('reuses the layers of the build before, and nothing with clearCache', async () => {
    const { options, reporter } = await machine(fakeEngine({ detector: detects(), builder: builds() }))
    const actions = (): string[] =>
      reporter.events.splice(0).flatMap(e => (e.type === 'layer' && e.name === 'test/bp:deps' ? [e.action] : []))
    const restored = (events: readonly BuildEvent[]): boolean => events.some(e => e.type === 'restored')
    const first = await build(options)
    expect(actions()).toEqual(['added'])
    const second = await build(options)
    expect(restored(reporter.events)).toBe(true)
    expect(actions()).toEqual(['reused'])
    expect(second.published.digest).toBe(first.published.digest)
    await build({ ...options, clearCache: true })
    expect(restored(reporter.events)).toBe(false)
  })

  it('runs as another user that is asked for, who owns what is made, also after a build as the first one', async () => {
    const engine = fakeEngine({ detector: detects(), builder: builds() })
    const { options } = await machine(engine)
    const owners = async ({ image }: BuildResult): Promise<unknown[]> => {
      const found: unknown[] = []
      for (const layer of image.layers.slice(1)) {
        for await (const entry of Readable.from(layerTar(layer)).pipe(extract())) {
          const { name = '', uid, gid } = entry.header
          if (/(deps\/file|main\.js)$/.test(name)) found.push([name.replace(/.*\//, ''), uid, gid])
          entry.resume()
        }
      }
      return found.sort()
    }
    const first = await build(options)
    expect(await owners(first)).toEqual([
      ['file', 1000, 1000],
      ['main.js', 1000, 1000],
    ])
    const other = await build({ ...options, user: { uid: 1234, gid: 0 } })
    expect(await owners(other)).toEqual([
      ['file', 1234, 0],
      ['main.js', 1234, 0],
    ])
    expect(engine.runs.map(run => run.user)).toEqual([
      { uid: 1000, gid: 1000 },
      { uid: 1000, gid: 1000 },
      { uid: 1234, gid: 0 },
      { uid: 1234, gid: 0 },
    ])
  })

  it('writes the operator’s variables where buildpacks of a builder find them', async () => {
    let files: Record<string, string> = {}
    const builder: Script = async (run, mounted) => {
      const dir = join(mounted('/cnb'), 'build-config/env')
      files = Object.fromEntries(
        await Promise.all((await readdir(dir)).map(async n => [n, await readFile(join(dir, n), 'utf8')] as const)),
      )
      return builds()(run, mounted)
    }
    const env =
      '[[build.env]]\nname = "A"\nvalue = "1"\n[[build.env]]\nname = "P"\nvalue = "/x"\nsuffix = "append"\ndelim = ":"\n'
    const { options } = await machine(fakeEngine({ detector: detects(), builder }), env)
    await build(options)
    expect(files).toEqual({ A: '1', 'P.append': '/x', 'P.delim': ':' })
  })

  it.each([
    ['X28 a buildpack that the builder does not have', group.replace('test/bp', 'evil/bp'), 22],
    ['X28 another version', group.replace('1.0.0', '6.6.6'), 22],
    ['D01 an id that is a path', group.replace('test/bp', '..'), 22],
  ])('refuses from detect %s', async (_what, text, status) => {
    const { options, pull } = await machine(fakeEngine({ detector: detects(text), builder: builds() }))
    const error = await failureOf(build(options))
    expect(error).toBeInstanceOf(BaleError)
    expect(exitStatus(error)).toBe(status)
    expect(await pull()).toBeUndefined()
  })

  it.each([
    ['detect', { detector: () => Promise.resolve(1), builder: builds() }, 22],
    ['build', { detector: detects(), builder: () => Promise.resolve(1) }, 52],
  ] as const)('saves nothing and leaves no workspace when %s fails', async (_phase, scripts, status) => {
    const { root, options, pull } = await machine(fakeEngine(scripts))
    expect(exitStatus(await failureOf(build(options)))).toBe(status)
    expect(await pull()).toBeUndefined()
    const left = async (): Promise<string[]> => readdir(join(root, 'cache/work'))
    for (let i = 0; i < 50 && (await left()).length > 0; i++) await new Promise(r => setTimeout(r, 20))
    expect(await left()).toEqual([])
  })

  it('ends by its signal before the next phase', async () => {
    const abort = new AbortController()
    const reason = new BaleError('cancelled', 'enough')
    const detector: Script = async (run, mounted) => {
      await detects()(run, mounted)
      abort.abort(reason)
    }
    const engine = fakeEngine({ detector, builder: builds() })
    const { options, pull } = await machine(engine)
    expect(await failureOf(build({ ...options, signal: abort.signal }))).toBe(reason)
    expect(engine.runs).toHaveLength(1)
    expect(await pull()).toBeUndefined()
  })
})

describe('buildEvents', () => {
  const collect = async (options: BuildOptions) => {
    const events: (BuildEvent | BuildOutcome)[] = []
    for await (const event of buildEvents(options)) events.push(event)
    return events
  }

  it('ends with the result', async () => {
    const { options, reporter } = await machine(fakeEngine({ detector: detects(), builder: builds() }))
    const events = await collect(options)
    expect(events.at(-1)).toMatchObject({ type: 'finished', result: { group: [{ id: 'test/bp' }] } })
    expect(typesOf(events.slice(0, -1))).toEqual(typesOf(reporter.events))
  })

  it('ends with the failure, its place and its fix', async () => {
    const { options } = await machine(fakeEngine({ detector: detects(), builder: builds() }))
    const events = await collect({ ...options, path: '/nonexistent/app' })
    expect(events.at(-1)).toEqual({
      type: 'failed',
      code: 'arguments',
      message: 'there is no directory /nonexistent/app',
      fix: 'give the directory of your source with --path',
    })
  })

  it('ends the build when nobody reads on', async () => {
    const engine = fakeEngine({ detector: detects(), builder: builds() })
    const { options, pull } = await machine(engine)
    for await (const event of buildEvents(options)) if (event.type === 'phase-started') break
    expect(await pull()).toBeUndefined()
    expect(engine.runs.map(run => run.argv.at(-1))).not.toContain('builder')
  })
})

describe('caches that machines share', () => {
  /** A machine that knows nothing yet, and what of the cached layer its builders found restored. */
  async function fresh() {
    const found: string[] = []
    const builder: Script = async (run, mounted) => {
      found.push(await readFile(join(mounted('/layers'), 'test_bp/deps/file'), 'utf8').catch(() => 'nothing'))
      return builds()(run, mounted)
    }
    const engine = fakeEngine({ detector: detects(), builder })
    return { ...(await machine(engine)), engine, found }
  }

  const warningsOf = ({ events }: { readonly events: readonly BuildEvent[] }): string[] =>
    events.flatMap(event => (event.type === 'warning' ? [event.text] : []))

  it('give a build what another machine has stored', async () => {
    const dir = join(await temporaryDirectory(), 'shared cache')
    const [one, two, three] = [await fresh(), await fresh(), await fresh()]
    await build({ ...one.options, cacheTo: [`type=local,dest=${dir}`] })
    await build({ ...two.options, cacheFrom: [`type=local,src=${dir}-missing`, `type=local,src=${dir}`] })
    await build({ ...three.options, cacheFrom: [`type=local,src=${dir}`], clearCache: true })
    expect([one.found, two.found, three.found]).toEqual([['nothing'], ['dependency'], ['nothing']])
    for (const { reporter } of [one, two, three]) expect(warningsOf(reporter)).toEqual([])
  })

  it('do not mix up apps, unless they have one name', async () => {
    const dir = join(await temporaryDirectory(), 'cache')
    const [one, two, three] = [await fresh(), await fresh(), await fresh()]
    await build({ ...one.options, cacheTo: [`type=local,dest=${dir}`, `type=local,dest=${dir},name=team`] })
    await build({ ...two.options, image: 'another', cacheFrom: [`type=local,src=${dir}`] })
    await build({ ...three.options, image: 'third', cacheFrom: [`type=local,src=${dir},name=team`] })
    expect([two.found, three.found]).toEqual([['nothing'], ['dependency']])
  })

  it('forget a generation that is too old', async () => {
    const dir = join(await temporaryDirectory(), 'cache')
    const [one, two] = [await fresh(), await fresh()]
    await build({ ...one.options, cacheTo: [`type=local,dest=${dir},ttl=1m`] })
    const now = Date.now
    Date.now = () => now() + 61_000
    try {
      await build({ ...two.options, cacheFrom: [`type=local,src=${dir}`] })
    } finally {
      Date.now = now
    }
    expect(two.found).toEqual(['nothing'])
  })

  it('C08 that cannot be written are a warning, and the image is there', async () => {
    const { root, options, reporter, pull } = await fresh()
    const result = await build({ ...options, cacheTo: [`type=local,dest=${join(root, 'app/main.js')}`] })
    expect((await pull())?.digest).toBe(result.published.digest)
    expect(warningsOf(reporter)).toEqual([
      expect.stringContaining('could not be written, so the next build takes longer'),
    ])
  })

  it('C08 that must be written, and cannot be, end the build before it begins', async () => {
    const { root, options, engine, pull } = await fresh()
    const cacheTo = [`type=local,dest=${join(root, 'app/main.js')},required`]
    const fault = await failureOf(build({ ...options, cacheTo }))
    expect(fault).toMatchObject({
      code: 'cache',
      message: expect.stringMatching(/^the cache is required/) as string,
    })
    expect(engine.runs).toEqual([])
    expect(await pull()).toBeUndefined()
  })

  it('are no part of the source', async () => {
    const { root, options, engine } = await fresh()
    const cacheTo = [`type=local,dest=${join(root, 'app/cache')}`]
    const sources: string[][] = []
    const run = engine.run.bind(engine)
    engine.run = async (given, signal) => {
      const app = given.mounts.find(m => m.path === '/workspace')
      sources.push(await readdir(app?.hostPath ?? ''))
      return run(given, signal)
    }
    for (const _build of [1, 2]) await build({ ...options, cacheTo })
    for (const files of sources) expect(files).toEqual(['main.js'])
  })
})
