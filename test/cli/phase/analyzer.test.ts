import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import { makeImage } from '../../../lifecycle/image/image.ts'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import { daemonStore } from '../../../lifecycle/stores/daemon/store.ts'
import { hostPlatform } from '../../../lifecycle/stores/settings.ts'
import { certificateFor } from '../../helpers/certificate.ts'
import { FakeDaemon } from '../../helpers/fake-daemon.ts'
import { configOf, layerOf } from '../../helpers/images.ts'
import { errorAnswer, startRegistry } from '../../helpers/registry.ts'
import { type Machine, addRunImage, environmentOf, machine, registryWithRun, runLine } from './line.ts'

const minor = (api: string): number => Number(api.slice(2))

async function analyzed(m: Machine) {
  return parseAnalyzed(await m.read('layers/analyzed.toml'), 'analyzed.toml')
}

describe.each(['0.7', '0.11', '0.12', '0.15'])('analyzer at %s', api => {
  it('writes what the other phases and platforms read', async () => {
    const registry = await registryWithRun({ variant: 'v8' })
    const run = registry.manifests.get('run:latest')
    const m = await machine(api)
    const { status, said } = await m.run('analyzer', ['-run-image', `${registry.host}/run`, `${registry.host}/app`])
    expect(status, said).toBe(0)
    const text = await m.read('layers/analyzed.toml')
    const { runImage, image, metadata } = await analyzed(m)
    expect([image, metadata]).toEqual([undefined, undefined])
    expect(runImage?.image).toBe(`${registry.host}/run`)
    expect(runImage?.reference).toMatch(new RegExp(`^${registry.host}/run@sha256:[0-9a-f]{64}$`))
    expect(registry.manifests.get(`run@${runImage?.reference.split('@')[1]}`)).toEqual(run)
    const { os, architecture: arch } = hostPlatform()
    const distro = { name: 'debian', version: '13' }
    expect(runImage?.target).toEqual(minor(api) < 12 ? undefined : { os, arch, variant: 'v8', distro })
    expect(text.includes('arch-variant = "v8"')).toBe(minor(api) >= 12)
  })

  it('chooses the run image that run.toml, before 0.12 stack.toml, has for the registry of the app', async () => {
    const [registry, other] = [await registryWithRun(), await startRegistry()]
    const elsewhere = `${other.host}/run`
    await other.close()
    const here = `${registry.host}/run`
    const stack = `[run-image]\nimage = "${elsewhere}"\nmirrors = ["${here}"]\n`
    const run = `[[images]]\nimage = "${elsewhere}"\nmirrors = ["${here}"]\n`
    const m = await machine(api, minor(api) < 12 ? { 'stack.toml': stack } : { 'run.toml': run })
    const { status, said } = await m.run('analyzer', [`${registry.host}/app`])
    expect(status, said).toBe(0)
    expect((await analyzed(m)).runImage?.image).toBe(here)
    // The other file is not looked at.
    const n = await machine(api, minor(api) < 12 ? { 'run.toml': run } : { 'stack.toml': stack })
    expect(await n.run('analyzer', [`${registry.host}/app`])).toMatchObject({
      status: 3,
      said: expect.stringContaining('-run-image is required') as string,
    })
  })
})

describe('the run image', () => {
  it('comes from another registry when that of the app has none', async () => {
    const [registry, other] = [await registryWithRun(), await registryWithRun()]
    const m = await machine('0.15', {
      'run.toml': `[[images]]\nimage = "${registry.host}/gone"\nmirrors = ["${other.host}/run"]\n`,
    })
    expect((await m.run('analyzer', [`${registry.host}/app`])).status).toBe(0)
    expect((await analyzed(m)).runImage?.image).toBe(`${other.host}/run`)
  })
  it('is an error that names each candidate when none can be read', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15', {
      'run.toml': `[[images]]\nimage = "${registry.host}/gone"\nmirrors = ["${registry.host}/gone-too"]\n`,
    })
    const { status, said } = await m.run('analyzer', [`${registry.host}/app`])
    expect(status).toBe(3)
    expect(said).toContain(`${registry.host}/gone: it does not exist`)
    expect(said).toContain(`${registry.host}/gone-too: it does not exist`)
  })
})

describe('arguments', () => {
  it('may name an image by its digest, which is then the previous one', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const image = `${registry.host}/a@sha256:${'0'.repeat(64)}`
    expect((await m.run('analyzer', [`-run-image=${registry.host}/run`, image])).status).toBe(0)
  })
  const cases: readonly (readonly [string, (host: string) => readonly string[], number, string])[] = [
    ['no image', () => [], 3, 'an image name is required'],
    ['only empty ones', () => ['-tag=', ''], 3, 'an image name is required'],
    ['two images', h => [`${h}/a`, `${h}/b`], 3, 'received 2 arguments, but expected 1'],
    ['a malformed image', () => ['UPPER'], 3, 'UPPER'],
    ['a malformed tag', h => ['-tag', 'a b', `${h}/a`], 3, 'a b'],
    ['a tag in another registry', h => ['-tag', 'other.example/a', `${h}/a`], 3, 'same registry'],
    ['a malformed previous image', h => ['-previous-image', '::', `${h}/a`], 3, '::'],
    ['a malformed cache image', h => ['-cache-image', 'A', `${h}/a`], 3, '"A"'],
    ['a malformed run image', h => ['-run-image', 'https://x/y', `${h}/a`], 3, 'it is a URL'],
    ['a run image that is not there', h => ['-run-image', `${h}/gone`, `${h}/a`], 3, 'does not exist'],
    ['-layout without the mode', h => ['-layout', '-layout-dir=/x', `${h}/a`], 1, 'experimental'],
  ]
  it.each(cases)('%s', async (_, args, status, said) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const given = args(registry.host)
    const run = given.includes('-run-image') ? [] : ['-run-image', `${registry.host}/run`]
    expect(await m.run('analyzer', [...run, ...given])).toMatchObject({
      status,
      said: expect.stringContaining(said) as string,
    })
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
  it('a run image that is not in the daemon: 3, before anything is written', async () => {
    const daemon = await FakeDaemon.start()
    const m = await machine('0.15')
    const env = { CNB_USE_DAEMON: 'true', DOCKER_HOST: `unix://${daemon.socketPath}` }
    expect(await m.run('analyzer', ['-run-image=r.io/gone', 'r.io/app'], env)).toMatchObject({
      status: 3,
      said: expect.stringContaining('r.io/gone') as string,
    })
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
  it('-layout needs -layout-dir, at every API that has a twin for it', async () => {
    for (const api of ['0.7', '0.12', '0.15']) {
      const m = await machine(api)
      const env = { CNB_USE_LAYOUT: 'true', CNB_EXPERIMENTAL_MODE: 'silent' }
      expect(await m.run('analyzer', ['-run-image=x', 'a'], env)).toMatchObject({
        status: 3,
        said: expect.stringContaining('-layout-dir') as string,
      })
    }
  })
  it('takes empty values, as Tekton gives them, for none', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.13')
    const empty = ['-cache-image=', '-tag=', '-previous-image=', '-insecure-registry=', '-uid=', '-skip-layers=']
    const { status, said } = await m.run('analyzer', [
      ...empty,
      `-run-image=${registry.host}/run`,
      `${registry.host}/a`,
    ])
    expect(status, said).toBe(0)
  })
})

describe('access, before any work', () => {
  it.each([
    ['the image', 'app'],
    ['a tag', 'more'],
    ['the cache image', 'cache'],
  ])('fails when %s could not be written', async (_, repository) => {
    const registry = await registryWithRun()
    registry.faults = ({ method, url }) =>
      method === 'POST' && url.pathname.includes(`/${repository}/`)
        ? { answer: errorAnswer(403, 'DENIED', 'not yours') }
        : undefined
    const m = await machine('0.15')
    const at = (name: string): string => `${registry.host}/${name}`
    const args = ['-run-image', at('run'), '-tag', at('more'), '-cache-image', at('cache'), at('app')]
    const { status, said } = await m.run('analyzer', args)
    expect(status).toBe(32)
    expect(said).toContain(`/v2/${repository}/`)
    expect(said).toContain('not yours')
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
})

describe('what cannot be read', () => {
  it.each([
    ['the previous image', 'old'],
    ['the run image', 'run'],
    ['the cache image', 'cache'],
  ])('fails before any work when %s is refused', async (_, repository) => {
    const registry = await registryWithRun()
    registry.faults = ({ method, url }) =>
      method !== 'POST' && url.pathname.startsWith(`/v2/${repository}/`)
        ? { answer: errorAnswer(403, 'DENIED', 'not yours') }
        : undefined
    const m = await machine('0.15')
    const at = (name: string): string => `${registry.host}/${name}`
    const images = ['-run-image', at('run'), '-previous-image', at('old'), '-cache-image', at('cache')]
    const { status, said } = await m.run('analyzer', [...images, at('app')])
    expect(status, said).toBe(32)
    expect(said).toContain(`/v2/${repository}/`)
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
})

describe('registries', () => {
  it('-insecure-registry, or its twin at any API, does without certificates', async () => {
    const registry = await registryWithRun({}, { tls: certificateFor('127.0.0.1') })
    const args = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    const m = await machine('0.13')
    expect(await m.run('analyzer', args)).toMatchObject({
      status: 32,
      said: expect.stringContaining('certificate') as string,
    })
    expect((await m.run('analyzer', [`-insecure-registry=${registry.host}`, ...args])).status).toBe(0)
    const env = { CNB_INSECURE_REGISTRIES: `other.example,${registry.host}`, CNB_PLATFORM_API: '0.9' }
    expect((await m.run('analyzer', args, env)).status).toBe(0)
    expect((await m.run('analyzer', ['-insecure-registry=x', ...args], env)).status).toBe(2)
  })
  it('CNB_REGISTRY_AUTH is used, and never shown', async () => {
    const registry = await registryWithRun({}, { auth: { scheme: 'basic', username: 'ann', password: 'hunter2' } })
    const args = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    const m = await machine('0.15')
    const auth = (header: string): string => JSON.stringify({ [registry.host]: header })
    const secret = Buffer.from('ann:hunter2').toString('base64')
    const known = await m.run('analyzer', args, { CNB_REGISTRY_AUTH: auth(`Basic ${secret}`) })
    expect(known.status, known.said).toBe(0)
    for (const wrong of [undefined, auth('Basic d3Jvbmc='), `{${secret}`]) {
      const { status, said } = await m.run('analyzer', args, { CNB_REGISTRY_AUTH: wrong })
      expect(status, said).toBe(32)
      expect(said).not.toMatch(/hunter2|d3Jvbmc/)
      expect(said).not.toContain(secret)
    }
  })
})

describe('the previous image', () => {
  it('may be named by its ID in a daemon', async () => {
    const daemon = await FakeDaemon.start()
    const m = await machine('0.15')
    const store = daemonStore({ socketPath: daemon.socketPath, tmpDir: m.root })
    const layer = await store.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\n' }))
    const run = makeImage(configOf({ ...hostPlatform() }), [layer])
    await store.putImage(run, ['r.io/run:latest'])
    const env = { CNB_USE_DAEMON: 'true', DOCKER_HOST: `unix://${daemon.socketPath}` }
    await runLine(m, 'r.io/app', { analyzer: ['-run-image=r.io/run'] }, env)
    const id = /image-id = "sha256:(.*)"/.exec(await m.read('layers/report.toml'))?.[1] ?? ''
    await m.renew()
    const args = ['-run-image=r.io/run', `-previous-image=${id}`, 'r.io/app']
    expect((await m.run('analyzer', args, env)).status).toBe(0)
    expect((await analyzed(m)).image).toEqual({ reference: id })
  })
  it.each([
    ['0.7', false],
    ['0.8', true],
    ['0.15', true],
  ])('its SBOM files at %s: %s', async (api, restored) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const run = ['-run-image', `${registry.host}/run`]
    await runLine(m, `${registry.host}/app`, { analyzer: run })
    const env = { CNB_PLATFORM_API: api }
    const file = m.path('layers/sbom/launch/test_app/modules/sbom.cdx.json')
    await m.renew()
    expect((await m.run('analyzer', [...run, `${registry.host}/app`], env)).status).toBe(0)
    expect((await analyzed(m)).metadata?.buildpacks[0]?.layers['modules']).toMatchObject({ data: { lock: '1' } })
    expect(existsSync(file)).toBe(restored)
    await m.renew()
    await m.run('analyzer', [...run, `${registry.host}/app`], { ...env, CNB_SKIP_LAYERS: 'true' })
    expect(existsSync(file)).toBe(false)
  })
  it('may be another one than the image, and may be missing', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const at = (name: string): string => `${registry.host}/${name}`
    await runLine(m, at('old'), { analyzer: ['-run-image', at('run')] })
    await m.run('analyzer', ['-run-image', at('run'), '-previous-image', at('old'), at('new')])
    expect((await analyzed(m)).image?.reference).toMatch(new RegExp(`^${at('old')}@sha256:`))
    await m.run('analyzer', ['-run-image', at('run'), '-previous-image', at('none'), at('new')])
    expect((await analyzed(m)).image).toBeUndefined()
  })
  it('that no lifecycle made is none', async () => {
    const registry = await registryWithRun()
    await addRunImage(registry, 'app')
    const m = await machine('0.15')
    expect((await m.run('analyzer', ['-run-image', `${registry.host}/run`, `${registry.host}/app`])).status).toBe(0)
    expect((await analyzed(m)).image).toBeUndefined()
  })
})

describe('run.toml', () => {
  it.each([
    ['of a wrong type', 'images = 1', 1],
    ['with a wrong image', '[[images]]\nimage = 7', 1],
    ['truncated', '[[images', 1],
    ['empty', '', 3],
    ['with a malformed name', '[[images]]\nimage = "A B"', 3],
    ['with keys of a newer API', 'x = 1\n[[images]]\nimage = "HOST/run"\nnew = true', 0],
  ])('%s', async (_, content, status) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    await writeFile(m.path('run.toml'), content.replace('HOST', registry.host))
    const result = await m.run('analyzer', [`${registry.host}/app`])
    expect(result.status, result.said).toBe(status)
    if (status === 1) expect(result.said).toContain(m.path('run.toml'))
  })
})

describe('a directory for temporary files that cannot be made', () => {
  it.each([1000, 0])('is no obstacle to a phase that has none, started by user %s', async uid => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    vi.stubEnv('TMPDIR', m.path('order.toml')) // no directory, like one of a root that is read-only
    onTestFinished(() => void vi.unstubAllEnvs())
    const user = uid === 0 ? String(process.geteuid?.() || 1000) : String(uid)
    let said = ''
    const status = await main(
      ['analyzer', `-run-image=${registry.host}/run`, `${registry.host}/app`],
      { ...environmentOf(m.root, '0.15'), CNB_USER_ID: user, CNB_GROUP_ID: user },
      {
        write: text => void (said += text),
        user: { uid, gid: uid },
        signal: new AbortController().signal,
        become: () => {},
        program: name => [name],
        supervisor: '/cnb/lifecycle/supervisor',
        landlock: '/nowhere/landlock',
      },
    )
    expect([status, said]).toEqual([0, ''])
    expect(await m.read('layers/analyzed.toml')).toContain(`image = "${registry.host}/run"`)
  })
})
