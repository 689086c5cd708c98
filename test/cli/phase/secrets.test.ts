import { mkdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { writeTree } from '../../helpers/tree.ts'
import { type Machine, machine, registryWithRun, stored } from './line.ts'

const secret = 'hunter2-of-the-test'

/** A machine with a binding, laid out as Kubernetes mounts a Secret, and a buildpack that does this with it. */
async function withBinding(build: string): Promise<Machine> {
  const m = await machine('0.15', {}, { build })
  const version = '..2026_01_01'
  await writeTree(m.path('platform/bindings/npm'), {
    [`${version}/type`]: 'npmrc',
    [`${version}/provider`]: 'example',
    [`${version}/token`]: `${secret}\n`,
    '..data': { link: version },
    ...Object.fromEntries(['type', 'provider', 'token'].map(name => [name, { link: `..data/${name}` }])),
  })
  return m
}

/** The phases up to build. @returns what builder said */
async function upToBuild(m: Machine, host: string, secrets: string[]) {
  const image = `${host}/app`
  const phases = [
    ['analyzer', ['-run-image', `${host}/run`, image]],
    ['detector', secrets],
    ['restorer', []],
    ['builder', secrets],
  ] as const
  let said = ''
  for (const [name, args] of phases) {
    const result = await m.run(name, args)
    said = result.said
    if (result.status !== 0) break
  }
  return said
}

describe('-secrets', () => {
  it('K14 masks the values of bindings in what buildpacks say, and not their types', async () => {
    const { host } = await registryWithRun()
    const m = await withBinding('cat "$CNB_PLATFORM_DIR/bindings/npm/token" "$CNB_PLATFORM_DIR/bindings/npm/type"')
    const said = await upToBuild(m, host, ['-secrets', m.path('platform/bindings')])
    expect(said).toMatch(/\*\*\*\nnpmrc/)
    expect(said).not.toContain(secret)
  })

  it.each([
    ['in the app', 'cp "$CNB_PLATFORM_DIR/bindings/npm/token" kept', /workspace\/kept; it contains the secret npm/],
    [
      'in a layer',
      'mkdir "$1/l" && base64 <"$CNB_PLATFORM_DIR/bindings/npm/token" >"$1/l/x" && printf "[types]\\nlaunch = true\\n" >"$1/l.toml"',
      /test_app\/l\/x; it contains the secret npm/,
    ],
  ])('K14 exporter pushes nothing that holds one: %s', async (_where, build, message) => {
    const registry = await registryWithRun()
    const m = await withBinding(build)
    const secrets = ['-secrets', m.path('platform/bindings')]
    await upToBuild(m, registry.host, secrets)
    const before = registry.manifests.size
    const { status, said } = await m.run('exporter', [...secrets, `${registry.host}/app`])
    expect(said).toMatch(message)
    expect(said).not.toContain(secret)
    expect(status).toBe(62)
    expect(registry.manifests.size).toBe(before)
    // What is found decides, not that there is a secret.
    const kept = await m.run('exporter', [`${registry.host}/app`])
    expect(kept.status, kept.said).toBe(0)
  })

  it('with a name that is none has its place', async () => {
    const m = await withBinding('true')
    await writeTree(m.path('platform/bindings'), { 'a b/token': secret })
    const { status, said } = await m.run('builder', ['-secrets', m.path('platform/bindings')])
    expect(said).toMatch(/^ERROR: -secrets \S+; "a b" cannot be the name of a file; /)
    expect(status).toBe(3)
  })

  it('that cannot be read is an error, before the phase does anything', async () => {
    const m = await withBinding('true')
    await mkdir(m.path('platform/bindings/npm/directory'))
    for (const dir of ['platform/bindings', 'absent', 'order.toml']) {
      const { status, said } = await m.run('builder', ['-secrets', m.path(dir)])
      expect(said).toMatch(/^ERROR: -secrets .*; a secret cannot be read: .*; give a directory of bindings/)
      expect(status).toBe(3)
    }
  })
})

describe('-label and -annotation', () => {
  it('are in the image as they are given, commas and all', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    await upToBuild(m, registry.host, [])
    const args = ['-label', 'a=b,c=d', '-label=e=', '-annotation', 'org.example.team=x,y']
    const { status, said } = await m.run('exporter', [...args, `${registry.host}/app`])
    expect(status, said).toBe(0)
    const { config, manifest } = stored(registry, 'app')
    expect(config.config?.Labels).toMatchObject({ a: 'b,c=d', e: '' })
    expect(manifest).toMatchObject({ annotations: { 'org.example.team': 'x,y' } })
  })

  it('without a name are refused', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    await upToBuild(m, registry.host, [])
    const { status, said } = await m.run('exporter', ['-label', '=x', `${registry.host}/app`])
    expect(said).toBe('ERROR: -label; "=x" is not NAME=VALUE; write NAME=VALUE\n')
    expect(status).toBe(2)
  })
})
