import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { exitStatus } from '../../lifecycle/errors.ts'
import { build } from '../../lifecycle/platform/build-app.ts'
import { plan } from '../../lifecycle/platform/plan-app.ts'
import { builds, detects, fakeEngine, group, machine, needs, passed, tells } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { startRegistry } from '../helpers/registry.ts'
import { writeTree } from '../helpers/tree.ts'

/** Every path below a directory with what tells whether it was changed. */
async function snapshot(dir: string): Promise<string[]> {
  const paths = await readdir(dir, { recursive: true })
  const described = paths.map(async path => {
    const entry = await lstat(join(dir, path))
    // A check that a layout can be written makes a file there and removes it, which changes the time of the directory.
    return `${path} ${entry.mode} ${entry.isDirectory() ? '' : `${entry.size} ${entry.mtimeMs}`}`
  })
  return (await Promise.all(described)).sort()
}

describe('plan', () => {
  it('says by what, why, on what and for where, and runs no builder', async () => {
    const engine = fakeEngine({ detector: tells(), builder: builds() })
    const { root, options, reporter } = await machine(engine)
    const told = await plan({ ...options, tags: [`oci:${join(root, 'out')}:v1`] })
    expect(told).toMatchObject({
      builder: { chosenBy: 'options', name: join(root, 'builder') },
      lifecycle: { from: 'bale' },
      target: { os: 'linux', arch: 'amd64', distro: { name: 'debian', version: '13' } },
      runImage: { name: 'bale.local/stacks/stack:run', alternatives: [] },
      buildpacks: [{ id: 'test/bp', version: '1.0.0', api: '0.12', why: 'found main.js\nand more' }],
      left: [{ id: 'test/other', status: 'failed', output: 'no go.mod' }],
      requires: [{ name: 'node', metadata: { version: '22' }, providedBy: ['test/bp@1.0.0'] }],
      destinations: ['index.docker.io/library/app:latest', `oci:${join(root, 'out')}:v1`],
      unknown: ['processes', 'layers', 'digest'],
    })
    expect(told).not.toHaveProperty('previous')
    expect(engine.runs.map(run => run.argv.at(-1))).not.toContain('builder')
    const phases = reporter.events.flatMap(e => (e.type === 'phase-finished' ? [e.phase] : []))
    expect(phases).toEqual(['analyze', 'detect'])
  })

  it('has the run image that a build records, and the image of the build before', async () => {
    const { options } = await machine(fakeEngine({ detector: tells(), builder: builds() }))
    const first = await plan(options)
    const built = await build(options)
    const label = JSON.parse(built.image.config.config?.Labels?.['io.buildpacks.lifecycle.metadata'] ?? '') as {
      runImage: { reference: string }
    }
    expect(first.runImage.reference).toBe(label.runImage.reference)
    expect(first.runImage.reference).toContain(first.runImage.digest)
    expect((await plan(options)).previous).toEqual({ name: 'app', digest: built.published.digest })
  })

  it('writes no image, cache or layout, and leaves no workspace', async () => {
    const { root, options } = await machine(fakeEngine({ detector: tells(), builder: builds() }))
    await build(options)
    const outside = ['data', 'app', 'builder', 'cache/apps']
    const states = async () => Promise.all(outside.map(dir => snapshot(join(root, dir))))
    const before = await states()
    const more = { tags: [`oci:${join(root, 'out')}`, `oci-archive:${join(root, 'out.tar')}`] }
    await plan({ ...options, ...more, clearCache: true, cacheTo: [`type=local,dest=${join(root, 'shared')},required`] })
    expect(await states()).toEqual(before)
    const left = async () => readdir(join(root, 'cache/work'))
    for (let i = 0; i < 50 && (await left()).length > 0; i++) await new Promise(r => setTimeout(r, 20))
    expect(await left()).toEqual([])
    for (const name of ['out', 'out.tar', 'shared']) expect(await readdir(root)).not.toContain(name)
  })

  it('puts nothing into a registry, and fails where that would refuse the image', async () => {
    const registry = await startRegistry()
    onTestFinished(() => registry.close())
    const { options } = await machine(fakeEngine({ detector: tells(), builder: builds() }))
    const image = `docker://${registry.host}/team/app`
    expect((await plan({ ...options, image })).destinations).toEqual([expect.stringContaining('/team/app')])
    expect([registry.blobs.size, registry.manifests.size]).toEqual([0, 0])
    registry.faults = ({ method }) =>
      method === 'POST' ? { answer: { status: 403, headers: {}, body: '' } } : undefined
    expect(await failureOf(plan({ ...options, image }))).toMatchObject({
      message: expect.stringContaining('403') as string,
    })
  })

  it('fails as a build does, with its exit status', async () => {
    const none = await machine(fakeEngine({ detector: () => Promise.resolve(20), builder: builds() }))
    expect(exitStatus(await failureOf(plan(none.options)))).toBe(20)
    const evil = await machine(
      fakeEngine({ detector: detects(group.replace('test/bp', 'evil/bp')), builder: builds() }),
    )
    expect(exitStatus(await failureOf(plan(evil.options)))).toBe(22)
    expect(await failureOf(plan({ ...evil.options, execEnv: 'a/b' }))).toMatchObject({ code: 'arguments' })
  })

  it('masks secrets in reasons and requirements', async () => {
    const value = 'a-long-enough-secret'
    const said = [{ ...passed, output: `token ${value}` }]
    const { options } = await machine(fakeEngine({ detector: tells(said, needs(value)), builder: builds() }))
    const secrets = [{ id: 'token', type: 'token', key: 'value', value: Buffer.from(value) }]
    const planned = await plan({ ...options, secrets })
    expect(JSON.stringify(planned)).not.toContain(value)
    const environment = { HTTPS_PROXY: `http://ann:${value}@proxy:3128` } // K16
    expect(JSON.stringify(await plan({ ...options, settings: { ...options.settings, environment } }))).not.toContain(
      value,
    )
    expect(planned.requires).toMatchObject([{ metadata: { version: '***' } }])
  })

  it.each([
    ['project', {}, '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "BUILDER"\n'],
    ['default', { defaultBuilder: 'BUILDER' }, ''],
    ['bale', {}, ''],
  ] as const)('says that the builder is chosen by %s', async (chosenBy, choice, project) => {
    const { root, options } = await machine(fakeEngine({ detector: tells(), builder: builds() }))
    const builder = join(root, 'builder')
    if (project !== '') await writeTree(root, { 'app/project.toml': project.replace('BUILDER', builder) })
    const planned = await plan({
      ...options,
      builder: undefined,
      ...('defaultBuilder' in choice && { defaultBuilder: builder }),
    })
    expect(planned.builder).toEqual(chosenBy === 'bale' ? { chosenBy } : { chosenBy, name: builder })
  })
})
