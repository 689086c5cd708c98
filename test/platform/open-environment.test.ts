import { createHash } from 'node:crypto'
import { chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
import { silent } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { stackEnvironment } from '../../lifecycle/platform/open-environment.ts'
import { loadBuilder } from '../../lifecycle/platform/builder.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, layerOf, platform } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const stackToml = 'id = "test"\n'

/** A builder on a stack that this machine has made before. */
async function openBuilder(more = '') {
  const root = await temporaryDirectory()
  const dataDir = join(root, 'data')
  const settings = {
    dataDir,
    cacheDir: join(root, 'cache'),
    platform,
    engine: bubblewrapEngine,
    environment: {},
    dockerConfig: '/nonexistent',
    dockerSocket: '/nonexistent',
  }
  const buildConfig = configOf({ config: { Env: ['CNB_USER_ID=1234', 'CNB_GROUP_ID=5678'] } })
  const record = {
    key: createHash('sha256').update(stackToml).digest('hex'),
    id: 'test',
    buildRoot: 'build-root',
    buildConfig,
    runImage: 'bale.local/stacks/stack:run',
  }
  await writeTree(root, {
    'builder/builder.toml': `[[buildpacks]]\nuri = "bp"\n[[order]]\n[[order.group]]\nid = "test/bp"\n[stack]\nuri = "stack"\n${more}`,
    'builder/bp/buildpack.toml': 'api = "0.12"\n[buildpack]\nid = "test/bp"\nversion = "1.0.0"\n',
    'builder/stack/stack.toml': stackToml,
    'data/stacks/stack-amd64/stack.json': JSON.stringify(record),
    'data/stacks/stack-amd64/build-root': { dir: true },
  })
  const stores = new Stores(settings, silent)
  const layer = await stores.local.putLayer(await layerOf({ '/x': 'x' }))
  await stores.local.putImage(makeImage(configOf(), [layer]), [record.runImage])
  const distribution = {
    root,
    lifecycleDir: '/dist/lifecycle',
    builder: root,
    launcher: (arch: string) => `/dist/launcher-${arch}`,
    landlock: '/dist/landlock',
    node: '/dist/node',
  }
  const provide = async (runImage?: string) => {
    const builder = await loadBuilder(join(root, 'builder'))
    const input = { builder, distribution, settings, stores, runImage, reporter: silent }
    return stackEnvironment(input, new AbortController().signal)
  }
  return { root, stores, provide }
}

describe('the environment that a builder.toml and a stack provide', () => {
  it('takes the run image of another stack of this machine, whatever the builder names', async () => {
    const { stores, provide } = await openBuilder('[[run.images]]\nimage = "registry.example.com/run"\n')
    const { runImages } = await provide('bale.local/stacks/other:run')
    expect(runImages.names).toEqual({ image: 'bale.local/stacks/other:run', mirrors: [] })
    expect(await runImages.open('bale.local/stacks/other:run')).toEqual({
      source: stores.local,
      name: 'bale.local/stacks/other:run',
    })
  })

  it('has root file system, user, buildpacks, order and lifecycle', async () => {
    const { root, provide } = await openBuilder()
    const environment = await provide()
    expect(environment).toMatchObject({
      rootfs: { layers: [join(root, 'data/stacks/stack-amd64/build-root')] },
      user: { uid: 1234, gid: 5678 },
      lifecycle: {
        phases: { from: 'bale', dir: '/dist/lifecycle', runtime: { node: '/dist/node' } },
        platformApi: '0.15',
        launcher: '/dist/launcher-amd64',
      },
      order: { groups: [[{ id: 'test/bp', version: '1.0.0' }]] },
      buildConfig: [],
    })
    expect(environment.buildpacks.map(b => b.dir)).toEqual([join(root, 'builder/bp')])
  })

  it('S19 reads a builder.toml in UTF-16, as editors on Windows write it', async () => {
    const { root, provide } = await openBuilder()
    const file = join(root, 'builder/builder.toml')
    await writeFile(file, Buffer.from(`\u{FEFF}${await readFile(file, 'utf8')}`, 'utf16le'))
    expect((await provide()).order).toMatchObject({ groups: [[{ id: 'test/bp', version: '1.0.0' }]] })
  })

  it('builds on the stack’s own run image, from the local store', async () => {
    const { stores, provide } = await openBuilder()
    const { names, open } = (await provide()).runImages
    expect(names).toEqual({ image: 'bale.local/stacks/stack:run', mirrors: [] })
    expect(await open(names.image)).toEqual({ source: stores.local, name: names.image })
  })

  it('builds on the builder’s run image, which has mirrors', async () => {
    const { provide } = await openBuilder('[[run.images]]\nimage = "one.example/run"\nmirrors = ["two.example/run"]\n')
    const { names, open } = (await provide()).runImages
    expect(names).toEqual({ image: 'one.example/run', mirrors: ['two.example/run'] })
    expect((await open('two.example/run')).source.description).toContain('two.example/run')
  })

  it('builds on what the user names before all else, and records no path', async () => {
    const { root, provide } = await openBuilder('[[run.images]]\nimage = "one.example/run"\n')
    const { names, open } = (await provide(`oci:${root}/layout`)).runImages
    expect(names).toEqual({ image: '', mirrors: [] })
    expect((await open('')).source.description).toContain(`${root}/layout`)
  })

  it('has a stack for what needs nothing of a run image, whose name no app may take, unless somebody names a run image', async () => {
    const { root, provide } = await openBuilder('static-uri = "small"\n')
    const { runImages, staticStackDir } = await provide()
    expect(staticStackDir).toBe(join(root, 'builder/small'))
    expect(runImages.others).toEqual(['bale.local/stacks/small:run'])
    expect((await provide('bale.local/stacks/other:run')).staticStackDir).toBeUndefined()
    const named = await openBuilder('static-uri = "small"\n[[run.images]]\nimage = "one.example/run"\n')
    expect((await named.provide()).staticStackDir).toBeUndefined()
  })

  it('refuses a variable of the operator that no environment can hold', async () => {
    const { provide } = await openBuilder('[[build.env]]\nname = "A=B"\nvalue = "1"\n')
    expect(await failureOf(provide())).toMatchObject({
      code: 'input',
      message: 'it is not the name of an environment variable',
    })
  })
})

describe('X44 a data directory that others could write', () => {
  it('has a record that leads out of it: it is not believed', async () => {
    const { root, provide } = await openBuilder()
    const file = join(root, 'data/stacks/stack-amd64/stack.json')
    const record = JSON.parse(await readFile(file, 'utf8')) as object
    for (const changed of [{ buildRoot: '../../../builder' }, { runImage: '../x' }, { buildRoot: '..' }]) {
      await writeFile(file, JSON.stringify({ ...record, ...changed }))
      // The stack is made anew, which this one of the tests cannot be.
      expect(await failureOf(provide())).toMatchObject({ where: expect.stringContaining('stack.toml') as string })
    }
  })

  it.runIf(process.geteuid?.() === 0)('belongs to another user', async () => {
    const { root, provide } = await openBuilder()
    await chown(join(root, 'data'), 12_345, 12_345)
    expect(await failureOf(provide())).toMatchObject({
      code: 'filesystem',
      where: join(root, 'data'),
      message: expect.stringContaining('another user, 12345') as string,
    })
  })
})
