import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { hexOf, isDigest } from '../../../lifecycle/image/digest.ts'
import { daemonStore } from '../../../lifecycle/stores/daemon/store.ts'
import { type Label, type RunImageOptions, debian, putAppImage, putRunImage } from '../../helpers/app-image.ts'
import { FakeDaemon } from '../../helpers/fake-daemon.ts'
import { platform } from '../../helpers/images.ts'
import type { FakeRegistry } from '../../helpers/registry.ts'
import { connect, serve } from '../../helpers/registry/set-up.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { machine, stored } from './line.ts'

/** A registry with an app on `run:latest`, which has been released anew since, and a machine to rebase it on. */
async function setUp(api = '0.15', now: RunImageOptions = {}) {
  const server = await serve()
  const { at } = connect(server.host)
  const run = `${server.host}/run`
  const old = await putRunImage(at('run'), 'latest')
  await putAppImage(at('team/app'), 'latest', { image: old, name: run })
  const next = await putRunImage(at('run'), 'latest', { layers: [{ '/new': 'new' }], ...now })
  const m = await machine(api)
  return { server, m, run, old, next, at, app: `${server.host}/team/app` }
}

const topLayer = (server: FakeRegistry, repository: string, tag?: string): string =>
  (stored(server, repository, tag).label('lifecycle.metadata') as Label).runImage.topLayer

describe.each(['0.7', '0.11', '0.12', '0.15'])('rebaser at Platform API %s', api => {
  it('puts the app on the run image that it names, and reports it', async () => {
    const { server, m, app, next, run } = await setUp(api)
    const { status, said } = await m.run('rebaser', [app])
    expect(status, said).toBe(0)
    const { manifest, label } = stored(server, 'team/app')
    expect(label('lifecycle.metadata')).toMatchObject({
      runImage: { topLayer: next.layers[0]!.diffId, reference: `${run}@${next.digest}`, image: run },
    })
    expect(manifest.layers[0]!.digest).toBe(next.layers[0]!.digest)
    const report = await m.read('layers/report.toml')
    expect(report).toContain(`tags = ["${app}"]`)
    expect(report.match(/^digest = "sha256:[0-9a-f]{64}"$/gm)).toHaveLength(1)
    expect(report).toMatch(/manifest-size = \d+/)
    expect(said).toContain(`      ${app}:latest`)
  })
})

describe('rebaser', () => {
  it('takes its inputs from variables as well, and an empty one for none', async () => {
    const { server, m, app, next } = await setUp()
    const env = { CNB_RUN_IMAGE: `${server.host}/run`, CNB_REPORT_PATH: m.path('own.toml') }
    const { status, said } = await m.run('rebaser', ['-run-image=', '-insecure-registry=', '-image', '', app], env)
    expect(status, said).toBe(0)
    expect(await m.read('own.toml')).toContain(app)
    expect(topLayer(server, 'team/app')).toBe(next.layers[0]!.diffId)
  })

  it('leaves the previous image as it is, and writes the same image to every name', async () => {
    const { server, m, app } = await setUp()
    const before = server.manifests.get('team/app:latest')
    const names = [`${server.host}/team/app:a`, `${server.host}/team/app:b`, `${server.host}/other:c`]
    const { status, said } = await m.run('rebaser', ['-previous-image', app, ...names])
    expect(status, said).toBe(0)
    expect(server.manifests.get('team/app:latest')).toBe(before)
    const [a, b, c] = ['team/app:a', 'team/app:b', 'other:c'].map(name => server.manifests.get(name)?.bytes)
    expect(a).toBeDefined()
    expect([b, c]).toEqual([a, a])
    const report = await m.read('layers/report.toml')
    for (const name of names) expect(report).toContain(`"${name}"`)
  })

  it.each(['-run-image', '-image'])('takes another run image: %s', async flag => {
    const { server, m, app, at, next } = await setUp()
    await putRunImage(at('other'), 'latest', { layers: [{ '/other': 'other' }] })
    const args = [flag, `${server.host}/other`, app]
    const refused = await m.run('rebaser', args)
    expect(refused.status).toBe(72)
    expect(refused.said).toContain('is not one of the run images that it was built for')
    expect(topLayer(server, 'team/app')).not.toBe(next.layers[0]!.diffId)
    const forced = await m.run('rebaser', ['-force', ...args])
    expect(forced.status, forced.said).toBe(0)
    expect(forced.said).toContain('Warning: ')
    expect((await m.run('rebaser', args)).status).toBe(0)
  })

  it('is forced by a variable', async () => {
    const { m, app } = await setUp('0.15', { labels: { ...debian, 'io.buildpacks.base.distro.version': '14' } })
    expect((await m.run('rebaser', [app])).status).toBe(72)
    expect((await m.run('rebaser', [app], { CNB_FORCE_REBASE: 'true' })).status).toBe(0)
  })

  it.each<[string, string, string[], number]>([
    ['no image', '0.15', [], 3],
    ['a digest to write to', '0.15', [`HOST/team/app@sha256:${'0'.repeat(64)}`], 3],
    ['no reference', '0.15', ['HOST/Team App'], 3],
    ['two registries', '0.15', ['HOST/team/app', 'other.example.com/app'], 3],
    ['an image that is not there', '0.15', ['HOST/team/none'], 72],
    ['a run image that is not there', '0.15', ['-run-image', 'HOST/none', 'HOST/team/app'], 1],
    ['an image that no lifecycle made', '0.15', ['HOST/run'], 1],
    ['-previous-image before 0.11', '0.10', ['-previous-image', 'HOST/team/app', 'HOST/team/app'], 2],
    ['-force before 0.12', '0.11', ['-force', 'HOST/team/app'], 2],
    ['-insecure-registry before 0.13', '0.12', ['-insecure-registry', 'HOST', 'HOST/team/app'], 2],
    ['-layers, which it never had', '0.15', ['-layers', '/layers', 'HOST/team/app'], 2],
    ['an API that is not supported', '0.99', ['HOST/team/app'], 11],
  ])('fails for %s', async (_what, api, args, status) => {
    const { server, m } = await setUp(api === '0.99' ? '0.15' : api)
    const before = server.manifests.get('team/app:latest')
    const own = args.map(arg => arg.replace('HOST', server.host))
    const result = await m.run('rebaser', own, { CNB_PLATFORM_API: api })
    expect(result.status, result.said).toBe(status)
    expect(result.said.match(/ERROR: /g)).toHaveLength(1)
    expect(server.manifests.get('team/app:latest')).toBe(before)
    await expect(readFile(m.path('layers/report.toml'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('works in a daemon: the report has an ID and no digest, the label a bare ID', async () => {
    const daemon = await FakeDaemon.start()
    const store = daemonStore({ socketPath: daemon.socketPath, tmpDir: await temporaryDirectory() })
    const old = await putRunImage(store, 'run')
    await putAppImage(store, 'app', { image: old, name: 'run' })
    const next = await putRunImage(store, 'run', { layers: [{ '/new': 'new' }] })
    const m = await machine('0.15')
    const { status, said } = await m.run('rebaser', ['-daemon', 'app'], { DOCKER_HOST: `unix://${daemon.socketPath}` })
    expect(status, said).toBe(0)
    const report = await m.read('layers/report.toml')
    expect(report).not.toMatch(/^(digest|manifest-size)/m)
    const id = /image-id = "(.*)"/.exec(report)?.[1]
    expect(isDigest(id)).toBe(true)
    const other = daemonStore({ socketPath: daemon.socketPath, tmpDir: await temporaryDirectory() })
    const image = (await other.pull('app', platform))!
    expect(image.imageId).toBe(id)
    const { runImage } = JSON.parse(image.config.config!.Labels!['io.buildpacks.lifecycle.metadata']!) as Label
    const there = (await other.pull('run', platform))!
    expect(runImage).toMatchObject({ topLayer: next.layers[0]!.diffId, reference: hexOf(there.imageId) })
  })
})
