import { existsSync } from 'node:fs'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import type { FakeRegistry } from '../../helpers/registry.ts'
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

  it('brings back what the layers of each kind have', async () => {
    const { m } = await rebuilt(api)
    const { status, said } = await m.run('restorer')
    expect(status, said).toBe(0)
    const layers = 'layers/test_app'
    // For launch only: metadata. For launch and cache, and for cache: contents, too. No file says what kind they are.
    expect(await m.read(`${layers}/modules.toml`)).toBe('[metadata]\nlock = "1"\n')
    expect(existsSync(m.path(`${layers}/modules`))).toBe(false)
    expect(await m.read(`${layers}/both.toml`)).toBe('[metadata]\nboth = true\n')
    expect(await m.read(`${layers}/both/file`)).toBe('b')
    expect(await m.read(`${layers}/tools/file`)).toBe('t')
    expect(await m.read(`${layers}/store.toml`)).toBe('[metadata]\nruns = "first"\n')
    expect(existsSync(m.path(`${layers}/modules.sbom.cdx.json`))).toBe(minor >= 8)
    expect(existsSync(m.path('layers/sbom'))).toBe(false)
  })

  it('-skip-layers leaves store.toml, from 0.10 on', async () => {
    for (const [args, env] of [
      [['-skip-layers'], {}],
      [[], { CNB_SKIP_LAYERS: 'true' }],
    ] as const) {
      const { m } = await rebuilt(api)
      expect((await m.run('restorer', args, env)).status).toBe(0)
      expect(existsSync(m.path('layers/test_app/store.toml'))).toBe(minor >= 10)
      expect(existsSync(m.path('layers/test_app/modules.toml'))).toBe(false)
      expect(existsSync(m.path('layers/test_app/tools'))).toBe(false)
    }
  })

  it('without an image of the app, launch layers come from the cache from 0.14 on', async () => {
    const { m, registry } = await rebuilt(api)
    registry.manifests.delete('app:latest')
    await m.renew()
    await m.run('analyzer', ['-run-image', `${registry.host}/run`, `${registry.host}/app`])
    await m.run('detector')
    expect((await m.run('restorer')).status).toBe(0)
    expect(existsSync(m.path('layers/test_app/both/file'))).toBe(minor >= 14)
    expect(existsSync(m.path('layers/test_app/tools/file'))).toBe(true)
  })

  it('warns of no cache, and restores metadata', async () => {
    const { m } = await rebuilt(api)
    const { status, lines } = await m.run('restorer', [], { CNB_CACHE_DIR: '' })
    expect(status).toBe(0)
    expect(lines).toContain('No cached data will be used, no cache specified.')
    expect(lines).toContain('Restoring metadata for "test/app:modules" from app image')
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

describe('bad input', () => {
  it('a group that is missing, malformed or of an unknown API', async () => {
    const { m } = await rebuilt('0.15')
    const group = m.path('layers/group.toml')
    await writeFile(group, '[[group]]\nid = "a"\nversion = "1"\napi = "0.99"\n')
    expect((await m.run('restorer')).status).toBe(12)
    await writeFile(group, 'group = 1')
    expect(await m.run('restorer')).toMatchObject({ status: 1, said: expect.stringContaining(group) as string })
    await rm(group)
    expect(await m.run('restorer')).toMatchObject({ status: 1, said: expect.stringContaining(group) as string })
  })
  it('a build image, which only extensions need', async () => {
    const { m } = await rebuilt('0.15')
    expect((await m.run('restorer', ['-build-image', 'b'])).status).toBe(3)
  })
  it('X20 D10 a link where a buildpack’s layers belong, left by a bin/detect', async () => {
    const { m } = await rebuilt('0.15')
    await rm(m.path('layers/test_app'), { recursive: true, force: true })
    await symlink(m.root, m.path('layers/test_app'))
    const { status, said } = await m.run('restorer')
    expect(status).toBe(42)
    expect(said).toContain('symbolic link')
    expect(existsSync(m.path('store.toml'))).toBe(false)
  })
  it('X21 a link in place of a file that comes back is replaced, not followed', async () => {
    const { m } = await rebuilt('0.15')
    await writeFile(m.path('canary'), 'sings')
    await rm(m.path('layers/test_app'), { recursive: true, force: true })
    await m.run('restorer')
    await rm(m.path('layers/test_app/store.toml'))
    await symlink(m.path('canary'), m.path('layers/test_app/store.toml'))
    await rm(m.path('layers/test_app/both'), { recursive: true })
    await rm(m.path('layers/test_app/tools'), { recursive: true })
    expect((await m.run('restorer')).status).toBe(0)
    expect(await m.read('canary')).toBe('sings')
    expect(await m.read('layers/test_app/store.toml')).toContain('first')
  })
})
