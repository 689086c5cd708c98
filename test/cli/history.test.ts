import { describe, expect, it } from 'vitest'
import { namesOf, recorded } from '../../lifecycle/cli/build-record.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import type { Reporter } from '../../lifecycle/events.ts'
import type { BuildOptions } from '../../lifecycle/platform/build-options.ts'
import { BuildHistory } from '../../lifecycle/platform/history.ts'
import { recorder } from '../phases/harness.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { fakeEngine, machine, builds, detects } from '../helpers/build-machine.ts'

const report = { tags: [], digest: 'sha256:aa', imageId: undefined, manifestSize: undefined }

async function optionsIn(dataDir: string, changes: Partial<BuildOptions> = {}) {
  const { options } = await machine(fakeEngine({ detector: detects(), builder: builds() }))
  return { ...options, settings: { ...options.settings, dataDir }, ...changes }
}

describe('names of an image', () => {
  it('lead to the app that it is a version of', () => {
    expect(namesOf('hello:v2')).toEqual({
      image: 'index.docker.io/library/hello:v2',
      app: 'index.docker.io/library/hello',
    })
    expect(namesOf('docker://r.test:5000/a/b')).toEqual({ image: 'r.test:5000/a/b:latest', app: 'r.test:5000/a/b' })
    expect(namesOf('oci:/out:one')).toEqual({ image: 'oci:/out:one', app: 'oci:/out' })
    expect(namesOf('oci-archive:/a.tar').app).toBe('oci-archive:/a.tar')
  })
})

describe('a build', () => {
  it('is recorded with what it printed, which goes on to its reporter', async () => {
    const data = await temporaryDirectory()
    const reporter = recorder()
    const options = await optionsIn(data, { reporter })
    const build = ({ reporter: own }: BuildOptions) => {
      const told = own as Reporter
      told.event({ type: 'detected', results: [], group: [{ id: 'test/a', version: '1.0.0' }] })
      told.event({ type: 'output', stream: 'stdout', text: 'hello \u001b]0;title\u0007' })
      told.event({ type: 'layer', action: 'reused', kind: 'buildpack', name: 'test/a:x', diffId: 'sha256:1', size: 1 })
      told.event({ type: 'layer', action: 'added', kind: 'config', name: 'config', diffId: 'sha256:2', size: 1 })
      return Promise.resolve({ report })
    }
    await recorded(options, build)
    expect(reporter.events).toHaveLength(4)
    const history = new BuildHistory(data)
    const [first] = await history.list('index.docker.io/library/app')
    expect(first).toMatchObject({
      build: 1,
      result: 'built',
      digest: 'sha256:aa',
      buildpacks: [{ id: 'test/a', version: '1.0.0' }],
      layers: [{ name: 'test/a:x', kind: 'buildpack', diffId: 'sha256:1', made: false }],
    })
    const log = await history.log('index.docker.io/library/app', 1)
    expect(log).toContain('hello')
    expect(log).not.toContain('\u001b')
  })

  it('that fails or is stopped is recorded with the reason, and throws it', async () => {
    const data = await temporaryDirectory()
    const abort = new AbortController()
    const options = await optionsIn(data, { signal: abort.signal })
    const error = new BaleError('buildpack-failed', 'it failed\nwith details', { where: 'here' })
    expect(await failureOf(recorded(options, () => Promise.reject(error)))).toBe(error)
    abort.abort()
    await failureOf(recorded(options, () => Promise.reject(new Error('stopped'))))
    const found = await new BuildHistory(data).list()
    expect(found.map(({ result, error: why }) => [result, why])).toEqual([
      ['cancelled', { code: 'failed', message: 'stopped' }],
      ['failed', { code: 'buildpack-failed', message: 'here: it failed' }],
    ])
  })

  it('keeps the end of a long output', async () => {
    const data = await temporaryDirectory()
    const options = await optionsIn(data)
    await recorded(options, ({ reporter }) => {
      for (let n = 0; n < 20_000; n++) reporter?.event({ type: 'output', stream: 'stdout', text: `line ${n}` })
      return Promise.resolve({ report })
    })
    const log = (await new BuildHistory(data).log('index.docker.io/library/app', 1)) ?? ''
    expect(log.length).toBeLessThan(200_000)
    expect(log).toMatch(/^… \(the beginning was not kept\)\n/)
    expect(log).toMatch(/line 19999\n$/)
  })

  it('is built though it cannot be recorded', async () => {
    const options = await optionsIn('/dev/null/data')
    expect(await recorded(options, () => Promise.resolve({ report }))).toEqual({ report })
  })
})
