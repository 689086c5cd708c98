import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { docker, oci } from '../../../lifecycle/image/media-types.ts'
import { copyImage } from '../../../lifecycle/stores/copy.ts'
import { daemonStore } from '../../../lifecycle/stores/daemon/store.ts'
import { layoutStore } from '../../../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../../../lifecycle/stores/settings.ts'
import { lifecycleVersion } from '../../../lifecycle/version.ts'
import { FakeDaemon } from '../../helpers/fake-daemon.ts'
import type { FakeRegistry } from '../../helpers/registry.ts'
import { connect } from '../../helpers/registry/set-up.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import type { Tree } from '../../helpers/tree.ts'
import { type Machine, addRunImage, machine, registryWithRun, runLine, stored } from './line.ts'

/** Everything but the export. */
async function built(
  api: string,
  tree: Tree = {},
  env: Record<string, string> = {},
  { registry, run = 'run' }: { registry: FakeRegistry; run?: string } | { registry?: undefined; run?: undefined } = {},
) {
  registry ??= await registryWithRun()
  const m = await machine(api, tree)
  for (const [name, args] of [
    ['analyzer', ['-run-image', `${registry.host}/${run}`, `${registry.host}/app`]],
    ['detector', []],
    ['restorer', []],
    ['builder', []],
  ] as const) {
    const { status, said } = await m.run(name, args, env)
    if (status !== 0) throw new Error(said)
  }
  return { m, registry, image: `${registry.host}/app` }
}

async function exported(m: Machine, registry: FakeRegistry, args: string[] = [], env: Record<string, string> = {}) {
  const { status, said } = await m.run('exporter', [...args, `${registry.host}/app`], env)
  if (status !== 0) throw new Error(said)
  return stored(registry, 'app')
}

// Those that changed something for exporter.
describe.each(['0.7', '0.8', '0.9', '0.10', '0.11', '0.12', '0.15'])('exporter at %s', api => {
  const minor = Number(api.slice(2))

  it('writes config, labels and report as that API has them', async () => {
    const { m, registry } = await built(api)
    for (const subject of ['launcher', 'lifecycle'])
      await writeFile(m.path(`lifecycle/${subject}.sbom.spdx.json`), '{}')
    const args = minor >= 11 ? [`-launcher-sbom=${m.path('lifecycle')}`] : []
    const { config, label, manifest } = await exported(m, registry, args, { SOURCE_DATE_EPOCH: '1700000000' })
    const date = minor >= 9 ? '2023-11-14T22:13:20Z' : '1980-01-01T00:00:01Z'
    expect(config.created).toBe(date)
    expect(config.config).toMatchObject({
      Entrypoint: ['/cnb/process/web'],
      User: '1001',
      WorkingDir: m.path('workspace'),
      Env: [
        `CNB_LAYERS_DIR=${m.path('layers')}`,
        `CNB_APP_DIR=${m.path('workspace')}`,
        `CNB_PLATFORM_API=${api}`,
        'CNB_DEPRECATION_MODE=quiet',
        // The spec asks for /cnb/process only; users of other lifecycles start `launcher` by its name.
        'PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin',
      ],
    })
    expect(config.config).not.toHaveProperty('Cmd')

    const history = config.history ?? []
    expect(history.map(h => h.created)).toEqual(manifest.layers.map(() => date))
    const made = [
      'debian',
      "Layer: 'both', Created by buildpack: test/app@1.0.0",
      "Layer: 'modules', Created by buildpack: test/app@1.0.0",
      ...(minor >= 8 ? ['Software Bill-of-Materials'] : []),
      'Application Layer',
      'Buildpacks Application Launcher',
      'Buildpacks Launcher Config',
      'Buildpacks Process Types',
    ]
    expect(history.map(h => h.created_by)).toEqual(made.map(by => (minor >= 12 ? by : undefined)))
    expect(manifest.layers).toHaveLength(made.length)

    const metadata = label('lifecycle.metadata') as Record<string, unknown>
    const name = `${registry.host}/run`
    expect(metadata).toMatchObject({
      runImage: { image: name, reference: expect.stringMatching(`^${name}@sha256:`) as string },
      stack: { runImage: { image: name } },
      buildpacks: [{ key: 'test/app', version: '1.0.0', layers: { modules: { data: { lock: '1' }, launch: true } } }],
    })
    expect('sbom' in metadata).toBe(minor >= 8)
    expect(metadata['exec-env']).toBe(minor >= 15 ? 'production' : undefined)
    expect(config.config?.Labels?.['io.buildpacks.exec-env']).toBe(minor >= 15 ? 'production' : undefined)
    const build = label('build.metadata') as Record<string, unknown>
    expect(build).toMatchObject({
      launcher: { version: lifecycleVersion },
      processes: [{ type: 'web', command: minor >= 10 ? ['serve'] : 'serve', args: ['now'], buildpackID: 'test/app' }],
    })
    expect('bom' in build).toBe(minor < 9)
    expect(label('project.metadata')).toEqual({})
    expect(config.config?.Labels).not.toHaveProperty('io.buildpacks.rebasable')

    const hasSbom = (path: string) => existsSync(m.path(`layers/sbom/${path}/sbom.spdx.json`))
    expect(hasSbom('launch/buildpacksio_lifecycle/launcher')).toBe(minor >= 11)
    expect(hasSbom('build/buildpacksio_lifecycle')).toBe(minor >= 11)
    const report = (await m.read('layers/report.toml')).split('\n')
    const digest = [...registry.manifests.keys()].find(k => k.startsWith('app@'))?.slice('app@'.length)
    expect(report.filter(line => line.includes('digest'))).toEqual([`digest = "${digest}"`])
    expect(report).toContain(`tags = ["${registry.host}/app"]`)
  })
})

describe('arguments', () => {
  it('K21 publishes no layer with the registry’s credentials', async () => {
    const { m, registry, image } = await built('0.12')
    const password = 'the-token-of-this-job'
    const basic = Buffer.from(`ci:${password}`).toString('base64')
    await writeFile(m.path('layers/test_app/both/.npmrc'), `_authToken=${password}`)
    const env = { CNB_REGISTRY_AUTH: JSON.stringify({ [registry.host]: `Basic ${basic}` }) }
    const { status, said } = await m.run('exporter', [image], env)
    expect(status).not.toBe(0)
    expect(said).toContain(`${m.path('layers')}/test_app/both/.npmrc; it contains credentials of ${registry.host}`)
    expect(said).not.toContain(password)
    expect(registry.manifests.has('app:latest')).toBe(false)
  })

  it('-run-image and -image are refused, and CNB_RUN_IMAGE is nothing to exporter', async () => {
    const { m, registry, image } = await built('0.9')
    expect((await m.run('exporter', ['-run-image', 'x', image])).status).toBe(3)
    expect((await m.run('exporter', ['-image', 'x', image])).status).toBe(3)
    await exported(m, registry, [], { CNB_RUN_IMAGE: 'none.example/run' })
  })
  it.each([
    ['none', (): string[] => []],
    ['a malformed one', () => ['A']],
    ['a digest', (h: string) => [`${h}/a@sha256:${'0'.repeat(64)}`]],
    ['some in different registries', (h: string) => [`${h}/a`, 'other.example/a']],
  ])('names: %s', async (_, names) => {
    const { m, registry } = await built('0.15')
    expect((await m.run('exporter', names(registry.host))).status).toBe(3)
  })
  it('exports to several repositories of a registry', async () => {
    const { m, registry, image } = await built('0.15')
    const { status, said } = await m.run('exporter', [image, `${image}:v2`, `${registry.host}/other:v1`])
    expect(status, said).toBe(0)
    const [first, ...more] = ['app:latest', 'app:v2', 'other:v1'].map(k => registry.manifests.get(k)?.bytes.toString())
    expect(more).toEqual([first, first])
    expect(await m.read('layers/report.toml')).toContain(`"${image}", "${image}:v2", "${registry.host}/other:v1"`)
    for (const name of [`${image}:v2`, `${registry.host}/other:v1`]) expect(said).toContain(`\n      ${name}\n`)
  })
  it('refuses to go on without the run image that extender makes', async () => {
    const { m, image } = await built('0.15')
    const analyzed = (await m.read('layers/analyzed.toml')).replace('[run-image]', '[run-image]\nextend = true')
    await writeFile(m.path('layers/analyzed.toml'), analyzed)
    const { status, said } = await m.run('exporter', [image])
    expect([status, said]).toEqual([
      1,
      expect.stringContaining('an image extension extends the run image, but the extended run image is missing'),
    ])
  })
  it.each(['oci', 'docker'] as const)('gives the image the format of its run image in a registry: %s', async format => {
    const registry = await registryWithRun()
    await addRunImage(registry, 'other/run', {}, format)
    const { m } = await built('0.15', {}, {}, { registry, run: 'other/run' })
    const { manifest } = await exported(m, registry)
    const types = format === 'oci' ? oci : docker
    expect(manifest).toMatchObject({ mediaType: types.manifest, config: { mediaType: types.config } })
    expect(new Set(manifest.layers.map(l => l.mediaType))).toEqual(new Set([types.layerGzip]))
  })
  it('-process-type chooses the process, and so does its twin', async () => {
    const { m, registry, image } = await built('0.15')
    expect((await m.run('exporter', ['-process-type=worker', image])).status).toBe(62)
    expect((await m.run('exporter', [image], { CNB_PROCESS_TYPE: 'worker' })).status).toBe(62)
    expect((await exported(m, registry, ['-process-type=web'])).config.config?.Entrypoint).toEqual(['/cnb/process/web'])
  })
  it('a SOURCE_DATE_EPOCH that is none is a warning', async () => {
    const { m, registry } = await built('0.15')
    for (const value of ['-1', '999999999999']) {
      const { status, said } = await m.run('exporter', [`${registry.host}/app`], { SOURCE_DATE_EPOCH: value })
      expect([status, stored(registry, 'app').config.created]).toEqual([0, '1980-01-01T00:00:01Z'])
      expect(said).toContain('Warning: SOURCE_DATE_EPOCH')
    }
  })
})

describe('files', () => {
  it.each([
    ['analyzed.toml', 'run-image = 1'],
    ['group.toml', '[[group]]\nid = 7\n'],
  ])('%s missing or of wrong type: 1', async (file, wrong) => {
    const { m, image } = await built('0.15')
    const path = m.path(`layers/${file}`)
    await writeFile(path, wrong)
    expect(await m.run('exporter', [image])).toMatchObject({ status: 1, said: expect.stringContaining(path) as string })
    await rm(path)
    expect(await m.run('exporter', [image])).toMatchObject({ status: 1, said: expect.stringContaining(path) as string })
  })
  it('analyzed.toml without a run image, or with one that is gone: 1', async () => {
    const { m, registry, image } = await built('0.15')
    for (const key of registry.manifests.keys()) if (key.startsWith('run@')) registry.manifests.delete(key)
    expect((await m.run('exporter', [image])).status).toBe(1)
    await writeFile(m.path('layers/analyzed.toml'), '')
    expect((await m.run('exporter', [image])).status).toBe(1)
  })
  it('metadata.toml missing: a failure of the phase', async () => {
    const { m, image } = await built('0.15')
    await rm(m.path('layers/config/metadata.toml'))
    expect((await m.run('exporter', [image])).status).toBe(62)
  })
  it('a group of an API that is not supported: 12', async () => {
    const { m, image } = await built('0.15')
    await writeFile(m.path('layers/group.toml'), '[[group]]\nid = "a"\nversion = "1"\napi = "0.6"\n')
    expect((await m.run('exporter', [image])).status).toBe(12)
  })
  it('project-metadata.toml becomes a label; of wrong type it is an error', async () => {
    const { m, registry, image } = await built('0.15')
    const path = m.path('layers/project-metadata.toml')
    await writeFile(path, '[source]\ntype = "git"\n[source.version]\ncommit = "abc"\n')
    const { label } = await exported(m, registry)
    expect(label('project.metadata')).toEqual({ source: { type: 'git', version: { commit: 'abc' } } })
    await writeFile(path, 'source = 1')
    expect((await m.run('exporter', [image])).said).toContain(path)
  })
  it('run.toml has the mirrors of the run image for the label', async () => {
    const { m, registry } = await built('0.15')
    const name = `${registry.host}/run`
    await writeFile(m.path('run.toml'), `[[images]]\nimage = "a.example/run"\nmirrors = ["${name}:latest"]\n`)
    const { label } = await exported(m, registry)
    expect(label('lifecycle.metadata')).toMatchObject({
      runImage: {
        image: 'a.example/run',
        mirrors: [`${name}:latest`],
        reference: expect.stringMatching(`^${name}@`) as string,
      },
    })
  })
})

describe('elsewhere than in a registry', () => {
  it('-layout: registry/repository/tag below the directory', async () => {
    const m = await machine('0.15')
    const layouts = m.path('layouts')
    const registry = await registryWithRun()
    const env = { CNB_USE_LAYOUT: 'true', CNB_LAYOUT_DIR: layouts, CNB_EXPERIMENTAL_MODE: 'silent' }
    // The run image comes into the layouts as a platform would bring it there.
    await copyToLayout(registry, 'run', `${layouts}/r.example/run/latest`)
    const line = async () => runLine(m, 'r.example/team/app:v1', { analyzer: ['-run-image', 'r.example/run'] }, env)
    await line()
    expect(existsSync(`${layouts}/r.example/team/app/v1/index.json`)).toBe(true)
    expect(await m.read('layers/analyzed.toml')).toContain(`reference = "${layouts}/r.example/run/latest@sha256:`)
    await m.renew()
    const second = await line()
    expect(second.exporter.lines).toContain("Reusing layer 'test/app:modules'")
    const index = JSON.parse(await m.read('layouts/r.example/team/app/v1/index.json')) as { manifests: unknown[] }
    expect(index.manifests).toHaveLength(1)
    // No path of this machine in the image.
    const report = await m.read('layers/report.toml')
    const digest = /digest = "sha256:(.*)"/.exec(report)?.[1]
    const manifest = JSON.parse(await m.read(`layouts/r.example/team/app/v1/blobs/sha256/${digest}`)) as {
      config: { digest: string }
    }
    const hex = manifest.config.digest.slice('sha256:'.length)
    expect(await m.read(`layouts/r.example/team/app/v1/blobs/sha256/${hex}`)).not.toContain(layouts)
  })

  it('-daemon: by image IDs, with a launch cache', async () => {
    const m = await machine('0.9')
    const daemon = await FakeDaemon.start()
    const registry = await registryWithRun()
    await copyToDaemon(registry, 'run', daemon, 'r.example/run')
    const env = { DOCKER_HOST: `unix://${daemon.socketPath}`, CNB_USE_DAEMON: 'true' }
    const flags = { analyzer: ['-run-image', 'r.example/run'], exporter: ['-launch-cache', m.path('launch-cache')] }
    const first = await runLine(m, 'app', flags, env)
    expect(daemon.has('docker.io/library/app:latest')).toBe(true)
    expect(await m.read('layers/analyzed.toml')).toMatch(/reference = "[0-9a-f]{64}"/)
    const report = await m.read('layers/report.toml')
    expect(report).toMatch(/image-id = "sha256:/)
    expect(report).not.toContain('digest')
    expect(first.exporter.lines).toContain("Adding layer 'test/app:modules'")
    expect(existsSync(m.path('launch-cache/committed'))).toBe(true)
    await m.renew()
    const second = await runLine(m, 'app', flags, env)
    expect(second.exporter.lines).toContain("Reusing layer 'test/app:modules'")
  })
  it('-launch-cache without -daemon is a warning', async () => {
    const { m, image } = await built('0.15')
    const { status, said } = await m.run('exporter', ['-launch-cache', m.path('lc'), image])
    expect(status).toBe(0)
    expect(said).toContain('Warning: -launch-cache is ignored')
  })
})

async function copyToLayout(registry: FakeRegistry, repository: string, path: string): Promise<void> {
  await copyImage(await imageOf(registry, repository), layoutStore(path), [''])
}

async function copyToDaemon(registry: FakeRegistry, repository: string, to: FakeDaemon, name: string): Promise<void> {
  const store = daemonStore({ socketPath: to.socketPath, tmpDir: await temporaryDirectory() })
  await copyImage(await imageOf(registry, repository), store, [name])
}

async function imageOf(registry: FakeRegistry, repository: string) {
  const image = await connect(registry.host).at(repository).pull('latest', hostPlatform())
  if (image === undefined) throw new Error(repository)
  return image
}
