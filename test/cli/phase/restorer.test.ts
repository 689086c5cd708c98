import { existsSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import { type FakeRegistry, errorAnswer } from '../../helpers/registry.ts'
import { type Machine, addRunImage, machine, registryWithRun, runLine } from './line.ts'

/** A machine on which the app was built once, with new volumes after analyze and detect. */
async function rebuilt(api: string): Promise<{ m: Machine; registry: FakeRegistry }> {
  const registry = await registryWithRun()
  const m = await machine(api)
  const run = ['-run-image', `${registry.host}/run`]
  await runLine(m, `${registry.host}/app`, { analyzer: run })
  await m.renew()
  await m.run('analyzer', [...run, `${registry.host}/app`])
  await m.run('detector')
  return { m, registry }
}

// Those that changed something for restorer.
describe.each(['0.7', '0.8', '0.10', '0.14'])('restorer at %s', api => {
  const minor = Number(api.slice(2))

  it('brings back what the layers of each kind have, and no more than is asked for', async () => {
    const { m, registry } = await rebuilt(api)
    const layers = 'layers/test_app'
    const there = (path: string): boolean => existsSync(m.path(`${layers}/${path}`))
    for (const [args, env] of [
      [['-skip-layers'], {}],
      [[], { CNB_SKIP_LAYERS: 'true' }],
    ] as const) {
      expect((await m.run('restorer', args, env)).status).toBe(0)
      expect([there('store.toml'), there('modules.toml'), there('tools')]).toEqual([minor >= 10, false, false])
      await rm(m.path(layers), { recursive: true })
    }

    const uncached = await m.run('restorer', [], { CNB_CACHE_DIR: '' })
    expect(uncached.status).toBe(0)
    expect(uncached.lines).toContain('No cached data will be used, no cache specified.')
    expect([there('store.toml'), there('modules.toml'), there('both.toml')]).toEqual([true, true, false])
    await rm(m.path(layers), { recursive: true })

    await m.run('analyzer', ['-run-image', `${registry.host}/run`, `${registry.host}/app`])
    const { status, said } = await m.run('restorer')
    expect(status, said).toBe(0)
    // For launch only: metadata. For launch and cache, and for cache: contents, too. No file says what kind they are.
    expect(await m.read(`${layers}/modules.toml`)).toBe('[metadata]\nlock = "1"\n')
    expect(there('modules')).toBe(false)
    expect(await m.read(`${layers}/both.toml`)).toBe('[metadata]\nboth = true\n')
    expect(await m.read(`${layers}/both/file`)).toBe('b')
    expect(await m.read(`${layers}/tools/file`)).toBe('t')
    expect(await m.read(`${layers}/store.toml`)).toBe('[metadata]\nruns = "first"\n')
    expect(there('modules.sbom.cdx.json')).toBe(minor >= 8)
    expect(existsSync(m.path('layers/sbom'))).toBe(false)

    // Without an image of the app, launch layers come from the cache from 0.14 on.
    registry.manifests.delete('app:latest')
    await m.renew()
    await m.run('analyzer', ['-run-image', `${registry.host}/run`, `${registry.host}/app`])
    await m.run('detector')
    expect((await m.run('restorer')).status).toBe(0)
    expect([there('both/file'), there('tools/file')]).toEqual([minor >= 14, true])
  })
})

describe('a cache image', () => {
  it('holds the layers in a directory’s place', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const at = (name: string): string => `${registry.host}/${name}`
    const env = { CNB_CACHE_DIR: '', CNB_CACHE_IMAGE: at('cache') }
    await runLine(m, at('app'), { analyzer: ['-run-image', at('run')] }, env)
    await m.renew()
    const second = await runLine(m, at('app'), { analyzer: ['-run-image', at('run')] }, env)
    expect(second.restorer.lines).toContain('Restoring data for "test/app:tools" from cache')
    expect(second.builder.lines).toContain('tools are restored')
    expect(registry.manifests.has('cache:latest')).toBe(true)
    expect(existsSync(m.path('cache'))).toBe(false)
  })
  it.each(['nobody listens', 'access is refused'])(
    'that cannot be read is 1 in restorer and exporter: %s',
    async why => {
      const registry = await registryWithRun()
      const m = await machine('0.15')
      const app = `${registry.host}/app`
      await runLine(m, app, { analyzer: ['-run-image', `${registry.host}/run`] })
      registry.faults = ({ url }) =>
        url.pathname.startsWith('/v2/cache/') ? { answer: errorAnswer(403, 'DENIED', 'not yours') } : undefined
      const image = why === 'nobody listens' ? '127.0.0.1:1/cache' : `${registry.host}/cache`
      registry.manifests.delete('app:latest')
      for (const [name, args] of Object.entries({ restorer: [], exporter: [app] })) {
        const { status, said } = await m.run(name, ['-cache-image', image, ...args])
        expect([status, said]).toEqual([1, expect.stringMatching(/^ERROR: GET .*(no server listens|not yours)/m)])
      }
      expect(registry.manifests.has('app:latest')).toBe(false)
    },
  )
})

describe('the run image', () => {
  const read = async (m: Machine) => parseAnalyzed(await m.read('layers/analyzed.toml'), 'analyzed.toml').runImage

  it('gets its target if analyze did not say it', async () => {
    const { m } = await rebuilt('0.13')
    const text = await m.read('layers/analyzed.toml')
    const before = await read(m)
    await writeFile(m.path('layers/analyzed.toml'), text.slice(0, text.indexOf('[run-image.target]')))
    expect(await read(m)).not.toHaveProperty('target')
    expect((await m.run('restorer')).status).toBe(0)
    expect(await read(m)).toEqual(before)
  })
  it.each(['0.13', '0.14'])('that cannot be read any more gives way to a mirror, from 0.14 on: %s', async api => {
    const { m, registry } = await rebuilt(api)
    const [old, mirror] = [`${registry.host}/run`, `${registry.host}/mirror`]
    await addRunImage(registry, 'mirror')
    await writeFile(m.path('run.toml'), `[[images]]\nimage = "${old}"\nmirrors = ["${mirror}"]\n`)
    for (const key of registry.manifests.keys()) if (key.startsWith('run')) registry.manifests.delete(key)
    expect((await m.run('restorer')).status).toBe(0)
    expect((await read(m))?.image).toBe(api === '0.13' ? old : mirror)
    if (api === '0.14') expect((await read(m))?.reference).toMatch(new RegExp(`^${mirror}@sha256:`))
  })
  it('is left alone where run.toml is missing or has others', async () => {
    const { m, registry } = await rebuilt('0.14')
    for (const key of registry.manifests.keys()) if (key.startsWith('run')) registry.manifests.delete(key)
    expect((await m.run('restorer')).status).toBe(0)
    await writeFile(m.path('run.toml'), '[[images]]\nimage = "other.example/run"\n')
    expect((await m.run('restorer')).status).toBe(0)
  })
})

// The oracle: one error that names the file, or the build goes on with the file replaced; where a link leads, nothing changes.
describe('bad input', () => {
  const group = '[[group]]\nid = "test/app"\nversion = "1.0.0"\napi = "0.11"\n'

  it.each([
    ['of an API that is not supported', '[[group]]\nid = "a"\nversion = "1"\napi = "0.99"\n', 12],
    ['of a wrong type', 'group = 1', 1],
    ['that is missing', undefined, 1],
    ['of extensions', `${group}[[group-extensions]]\nid = "x"\nversion = "1"\napi = "0.11"\n`, 0],
    ['of a newer API, with keys that nobody knows', `new = 1\n${group}new = 2\n`, 0],
    ['that is empty', '', 0],
  ])('a group %s', async (_, content, status) => {
    const m = await machine('0.15', content === undefined ? {} : { 'layers/group.toml': content })
    const result = await m.run('restorer')
    expect(result.status, result.said).toBe(status)
    if (status === 1) expect(result.said).toContain(m.path('layers/group.toml'))
  })
  it('takes a build image, which only extensions need: Tekton’s task names it in every build', async () => {
    const m = await machine('0.15', { 'layers/group.toml': group })
    const { status, said } = await m.run('restorer', ['-build-image', 'b', '-log-level', 'debug'])
    expect(status, said).toBe(0)
    expect(said).toContain('-build-image is ignored')
  })
  it('X20 D10 a link where a buildpack’s layers belong, left by a bin/detect', async () => {
    const m = await machine('0.15', { 'layers/group.toml': group, elsewhere: { dir: true } })
    await symlink(m.path('elsewhere'), m.path('layers/test_app'))
    const { status, said } = await m.run('restorer')
    expect(status).toBe(42)
    expect(said).toContain('symbolic link')
  })
  it('X21 a link in place of a file that comes back is replaced, not followed', async () => {
    const { m } = await rebuilt('0.15')
    await writeFile(m.path('canary'), 'sings')
    await mkdir(m.path('layers/test_app'), { recursive: true })
    for (const file of ['store.toml', 'modules.toml', 'modules.sbom.cdx.json'])
      await symlink(m.path('canary'), m.path(`layers/test_app/${file}`))
    expect((await m.run('restorer')).status).toBe(0)
    expect(await m.read('canary')).toBe('sings')
    expect(await m.read('layers/test_app/store.toml')).toContain('first')
    expect(await m.read('layers/test_app/modules.toml')).toContain('lock')
  })
})
