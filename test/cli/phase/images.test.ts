import { access, readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { supportedPlatformApis } from '../../../lifecycle/spec/api.ts'
import { parseToml } from '../../../lifecycle/spec/toml.ts'
import { type Image, makeImage } from '../../../lifecycle/image/image.ts'
import { layoutPath, parseReference } from '../../../lifecycle/image/reference.ts'
import { daemonStore } from '../../../lifecycle/stores/daemon.ts'
import { layoutStore } from '../../../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../../../lifecycle/stores/open.ts'
import type { ImageStore } from '../../../lifecycle/stores/store.ts'
import { configOf, layerOf } from '../../helpers/images.ts'
import { FakeDaemon } from '../../helpers/fake-daemon.ts'
import { type FakeRegistry, errorAnswer } from '../../helpers/registry.ts'
import { type Machine, addRunImage, machine, registryWithRun, runLine, stored } from './line.ts'

// The binaries that read and write images, as platform.md has them.

type Table = Readonly<Record<string, unknown>>
const read = async (m: Machine, file: string): Promise<Table> => parseToml(await m.read(file), file)
const digest = /sha256:[0-9a-f]{64}/

async function setUp(api = '0.15') {
  const registry = await registryWithRun()
  const m = await machine(api)
  return { registry, m, app: `${registry.host}/app`, run: `-run-image=${registry.host}/run` }
}
const denied = (registry: FakeRegistry, repository: string, methods: string): void => {
  registry.faults = ({ method, url }) =>
    url.pathname.startsWith(`/v2/${repository}/`) && methods.includes(method)
      ? { answer: errorAnswer(403, 'DENIED', 'no') }
      : undefined
}

describe('analyzer', () => {
  it('writes analyzed.toml', { timeout: 30_000 }, async () => {
    const { m, app, run, registry } = await setUp()
    expect((await m.run('analyzer', [run, app])).status).toBe(0)
    const first = await read(m, 'layers/analyzed.toml')
    expect(first['image']).toBeUndefined()
    const runImage = {
      image: `${registry.host}/run`,
      reference: expect.stringMatching(new RegExp(`^${registry.host}/run@sha256:[0-9a-f]{64}$`)) as string,
      target: expect.objectContaining({ os: 'linux', distro: { name: 'debian', version: '13' } }) as object,
    }
    expect(first['run-image']).toEqual(runImage)
    await m.renew()
    await runLine(m, app, { analyzer: [run] })
    await m.renew()
    expect((await m.run('analyzer', [run, app])).status).toBe(0)
    const second = await read(m, 'layers/analyzed.toml')
    expect(second['image']).toEqual({ reference: expect.stringMatching(/\/app@sha256:[0-9a-f]{64}$/) as string })
    expect(second['run-image']).toEqual(runImage)
    const label = stored(registry, 'app').label('lifecycle.metadata') as { buildpacks: unknown[] }
    expect((second['metadata'] as { buildpacks: unknown[] }).buildpacks).toEqual(label.buildpacks)
  })

  it.each([
    ['no image', []],
    ['a malformed image', ['r.io/A B']],
    ['a digest as a name', [`r.io/a@sha256:${'0'.repeat(64)}`]],
    ['a malformed tag', ['-tag=r.io/:x', 'r.io/a']],
    ['a tag in another registry', ['-tag=other.io/a', 'r.io/a']],
    ['a malformed previous image', ['-previous-image=r.io/A', 'r.io/a']],
    ['a malformed cache image', ['-cache-image=r.io/A', 'r.io/a']],
    ['two images', ['r.io/a', 'r.io/b']],
  ])('analyzer refuses %s: 3', async (_what, args) => {
    const m = await machine('0.15')
    const { status, said } = await m.run('analyzer', ['-run-image=r.io/run', ...args])
    expect([status, said.split('\n').length]).toEqual([3, 2])
    expect(await readdir(m.path('layers'))).not.toContain('analyzed.toml')
  })

  it.each(supportedPlatformApis)(
    'analyzer takes the run image from run.toml, or from stack.toml before 0.12: %s',
    async api => {
      const { registry, app } = await setUp()
      await addRunImage(registry, 'near')
      const m = await machine(api, {
        'run.toml': `[[images]]\nimage = "127.0.0.1:1/far"\nmirrors = ["${registry.host}/near"]\n`,
        'stack.toml': `[run-image]\nimage = "127.0.0.1:1/far"\nmirrors = ["${registry.host}/near"]\n`,
      })
      const file =
        Number(api.slice(2)) < 12 ? { CNB_STACK_PATH: m.path('stack.toml') } : { CNB_RUN_PATH: m.path('run.toml') }
      const { status, said } = await m.run('analyzer', [app], file)
      expect(status, said).toBe(0)
      expect(await m.read('layers/analyzed.toml')).toContain(`reference = "${registry.host}/near@sha256:`)
    },
  )

  it('analyzer fails without a run image: 3', async () => {
    const { m, app, registry } = await setUp()
    for (const text of ['', `[[images]]\nimage = "${registry.host}/nothing"\n`]) {
      const other = await machine('0.15', { 'run.toml': text })
      expect((await other.run('analyzer', [app], { CNB_RUN_PATH: other.path('run.toml') })).status).toBe(3)
    }
    expect((await m.run('analyzer', [app], { CNB_RUN_PATH: m.path('none.toml') })).status).toBe(3)
  })

  it('analyzer takes images that do not exist yet', async () => {
    const { m, app, run, registry } = await setUp()
    const args = [run, `-previous-image=${registry.host}/old:1`, `-cache-image=${registry.host}/cache`, `-tag=${app}:2`]
    const { status, said } = await m.run('analyzer', [...args, app])
    expect(status, said).toBe(0)
  })

  it.each([
    ['the image cannot be written', 'app', 'POST'],
    ['a tag cannot be written', 'tag', 'POST'],
    ['the cache image cannot be written', 'cache', 'POST'],
    ['the previous image cannot be read', 'old', 'GETHEAD'],
    ['the run image cannot be read', 'run', 'GETHEAD'],
  ])('analyzer fails before any work when %s', async (_what, repository, methods) => {
    const { m, app, run, registry } = await setUp()
    denied(registry, repository, methods)
    const { host } = registry
    const args = [run, `-tag=${host}/tag`, `-cache-image=${host}/cache`, `-previous-image=${host}/old`, app]
    const { status, said } = await m.run('analyzer', args)
    expect(status, said).not.toBe(0)
    expect(said).toContain(`${host}`)
    expect(await readdir(m.path('layers'))).not.toContain('analyzed.toml')
  })
})

describe('restorer', () => {
  it('-skip-layers restores no layer and no SBOM, but the store', { timeout: 30_000 }, async () => {
    const { m, app, run } = await setUp()
    await runLine(m, app, { analyzer: [run] })
    await m.renew()
    for (const [binary, args] of [
      ['analyzer', [run, '-skip-layers', app]],
      ['detector', []],
      ['restorer', ['-skip-layers']],
    ] as const)
      expect((await m.run(binary, args)).status).toBe(0)
    expect(await readdir(m.path('layers/test_app'))).toEqual(['store.toml'])
    expect(await readdir(m.path('layers'))).not.toContain('sbom')
  })

  it.each(['0.13', '0.14'])(
    'restorer takes a mirror of a run image that cannot be read any more, from 0.14 on: %s',
    async api => {
      const { registry, app, run } = await setUp()
      await addRunImage(registry, 'mirror')
      const text = `[[images]]\nimage = "${registry.host}/run"\nmirrors = ["${registry.host}/mirror"]\n`
      const m = await machine(api, { 'run.toml': text })
      for (const [binary, args] of [
        ['analyzer', [run, app]],
        ['detector', []],
      ] as const)
        expect((await m.run(binary, args)).status).toBe(0)
      denied(registry, 'run', 'GETHEAD')
      const { status, said } = await m.run('restorer', [], { CNB_RUN_PATH: m.path('run.toml') })
      expect(status, said).toBe(0)
      expect(await m.read('layers/analyzed.toml')).toContain(
        `reference = "${registry.host}/${api === '0.14' ? 'mirror' : 'run'}@`,
      )
    },
  )

  it('restorer fills in the target where analyzed.toml has none', async () => {
    const { m, app, run } = await setUp()
    for (const [binary, args, env] of [
      ['analyzer', [run, app], { CNB_PLATFORM_API: '0.11', CNB_STACK_PATH: m.path('none') }],
      ['detector', [], {}],
    ] as const)
      expect((await m.run(binary, args, env)).status).toBe(0)
    expect((await read(m, 'layers/analyzed.toml'))['run-image']).not.toHaveProperty('target')
    const { status, said } = await m.run('restorer')
    expect(status, said).toBe(0)
    expect((await read(m, 'layers/analyzed.toml'))['run-image']).toMatchObject({
      target: { os: 'linux', distro: { name: 'debian', version: '13' } },
    })
  })

  it('-cache-image keeps layers in a registry', { timeout: 30_000 }, async () => {
    const { m, app, run, registry } = await setUp()
    const cache = `-cache-image=${registry.host}/cache`
    const flags = { analyzer: [run, cache], restorer: [cache], exporter: [cache] }
    await runLine(m, app, flags, { CNB_CACHE_DIR: undefined })
    await m.renew()
    const second = await runLine(m, app, flags, { CNB_CACHE_DIR: undefined })
    expect(second.restorer.lines).toContain('Restoring data for "test/app:tools" from cache')
    expect(second.builder.lines).toContain('tools are restored')
  })
})

describe('exporter', () => {
  it.each([
    ['no image', []],
    ['a malformed image', ['r.io/A B']],
    ['a digest as a name', [`r.io/a@sha256:${'0'.repeat(64)}`]],
    ['images in two registries', ['r.io/a', 'other.io/a']],
    ['-run-image', ['-run-image=r.io/run', 'r.io/a']],
  ])('exporter refuses %s: 3', async (_what, args) => {
    const m = await machine('0.15')
    const { status, said } = await m.run('exporter', args)
    expect([status, said.split('\n').length]).toEqual([3, 2])
  })

  it('exporter gives the same image to each tag, and says so in report.toml', { timeout: 30_000 }, async () => {
    const { m, app, run, registry } = await setUp()
    const more = [`${app}:2`, `${registry.host}/other:3`]
    await runLine(m, app, { analyzer: [run], exporter: more })
    const manifests = ['app:latest', 'app:2', 'other:3'].map(name => registry.manifests.get(name)?.bytes.toString())
    expect(new Set(manifests).size).toBe(1)
    const { image } = (await read(m, 'layers/report.toml')) as { image: Table }
    expect(new Set(image['tags'] as string[])).toEqual(new Set([`${app}:latest`, ...more]))
    expect(image['digest']).toMatch(digest)
    expect(registry.manifests.has(`app@${String(image['digest'])}`)).toBe(true)
    expect(image['manifest-size']).toBe(manifests[0]?.length)
    expect(image).not.toHaveProperty('image-id')
  })

  it('exporter names the run image and its mirrors as run.toml does', { timeout: 30_000 }, async () => {
    const { registry, app } = await setUp()
    const names = { image: `${registry.host}/run`, mirrors: ['mirror.io/run'] }
    const m = await machine('0.15', {
      'run.toml': `[[images]]\nimage = "${names.image}"\nmirrors = ["${names.mirrors[0]}"]\n`,
    })
    await runLine(m, app, {}, { CNB_RUN_PATH: m.path('run.toml') })
    expect(stored(registry, 'app').label('lifecycle.metadata')).toMatchObject({
      runImage: { ...names, reference: expect.stringMatching(/\/run@sha256:/) as string },
      stack: { runImage: names },
    })
  })

  it.each(['0.10', '0.11'])(
    'exporter puts the launcher’s SBOM into the image from 0.11 on: %s',
    { timeout: 30_000 },
    async api => {
      const { registry, app, run } = await setUp()
      const m = await machine(api, {
        'lifecycle/launcher.sbom.cdx.json': '{"of":"launcher"}',
        'lifecycle/lifecycle.sbom.spdx.json': '{"of":"lifecycle"}',
      })
      const sboms = api === '0.10' ? [] : [`-launcher-sbom=${m.path('lifecycle')}`]
      await runLine(m, app, { analyzer: [run], exporter: sboms })
      const there = await Promise.all(
        ['launch/buildpacksio_lifecycle/launcher/sbom.cdx.json', 'build/buildpacksio_lifecycle/sbom.spdx.json'].map(f =>
          access(m.path(`layers/sbom/${f}`)).then(
            () => true,
            () => false,
          ),
        ),
      )
      expect(there).toEqual(api === '0.10' ? [false, false] : [true, true])
      expect(registry.manifests.has('app:latest')).toBe(true)
    },
  )
})

describe('other places for images', () => {
  it('-layout needs -layout-dir and CNB_EXPERIMENTAL_MODE', async () => {
    const m = await machine('0.15')
    const args = ['-run-image=r.io/run', '-layout', 'r.io/app']
    const without = await m.run('analyzer', args, { CNB_LAYOUT_DIR: m.path('images') })
    expect([without.status, without.said]).toEqual([1, expect.stringContaining('CNB_EXPERIMENTAL_MODE')])
    const nowhere = await m.run('analyzer', args, { CNB_EXPERIMENTAL_MODE: 'silent' })
    expect([nowhere.status, nowhere.said]).toEqual([3, expect.stringContaining('-layout-dir')])
  })

  const runOf = async (store: ImageStore, name: string): Promise<Image> => {
    const layer = await store.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\n' }))
    const image = makeImage(configOf({ ...hostPlatform(), config: { Env: ['PATH=/bin'] } }), [layer])
    await store.putImage(image, [name])
    return image
  }

  it('-layout reads and writes images below -layout-dir', { timeout: 30_000 }, async () => {
    const m = await machine('0.15')
    const at = (path: string): ImageStore => layoutStore(m.path(`images/${path}`))
    const run = await runOf(at('r.io/stacks/run/1'), '')
    const env = { CNB_EXPERIMENTAL_MODE: 'silent', CNB_USE_LAYOUT: 'true', CNB_LAYOUT_DIR: m.path('images') }
    const flags = { analyzer: ['-run-image=r.io/stacks/run:1'] }
    await runLine(m, 'r.io/my/app', flags, env)
    const app = await at('r.io/my/app/latest').pull('', hostPlatform())
    expect(app?.layers[0]?.diffId).toBe(run.layers[0]?.diffId)
    const label = app?.config.config?.Labels?.['io.buildpacks.lifecycle.metadata']
    expect(label).not.toContain(m.root)
    expect(await m.read('layers/analyzed.toml')).toContain(`reference = "${m.path('images/r.io/stacks/run/1')}@sha256:`)
    await m.renew()
    const second = await runLine(m, 'r.io/my/app', flags, env)
    expect(await m.read('layers/analyzed.toml')).toContain(
      `reference = "${m.path('images/r.io/my/app/latest')}@sha256:`,
    )
    expect(second.builder.lines).toContain('reusing modules')
  })

  it('a digest is a path below -layout-dir, too', () => {
    const hex = 'a'.repeat(64)
    expect(layoutPath(parseReference(`r.io/a/b@sha256:${hex}`))).toBe(`r.io/a/b/sha256/${hex}`)
    expect(layoutPath(parseReference('r.io/a/b:1'))).toBe('r.io/a/b/1')
    expect(layoutPath(parseReference('ubuntu'))).toBe('index.docker.io/library/ubuntu/latest')
  })

  it('-daemon names images by their IDs', { timeout: 30_000 }, async () => {
    const daemon = await FakeDaemon.start()
    const m = await machine('0.15')
    await runOf(daemonStore({ socketPath: daemon.socketPath, tmpDir: m.root }), 'r.io/run:latest')
    const env = { CNB_USE_DAEMON: 'true', DOCKER_HOST: `unix://${daemon.socketPath}` }
    await runLine(m, 'r.io/app', { analyzer: ['-run-image=r.io/run'] }, env)
    expect((await read(m, 'layers/analyzed.toml'))['run-image']).toMatchObject({
      reference: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      image: 'r.io/run',
    })
    const { image } = (await read(m, 'layers/report.toml')) as { image: Table }
    const id = String(image['image-id'])
    expect(id).toMatch(digest)
    expect(image).not.toHaveProperty('digest')
    expect(daemon.has(id)).toBe(true)
    await m.renew()
    // The image of the last build, by its ID.
    const args = ['-run-image=r.io/run', `-previous-image=${id.slice('sha256:'.length)}`, 'r.io/app']
    expect((await m.run('analyzer', args, env)).status).toBe(0)
    expect((await read(m, 'layers/analyzed.toml'))['image']).toEqual({ reference: id.slice('sha256:'.length) })
  })
})
