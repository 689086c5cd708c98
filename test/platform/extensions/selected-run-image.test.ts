import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ImageConfig } from '../../../lifecycle/image/config.ts'
import { makeImage } from '../../../lifecycle/image/image.ts'
import { build } from '../../../lifecycle/platform/build-app.ts'
import { plan } from '../../../lifecycle/platform/plan-app.ts'
import { readTrusted } from '../../../lifecycle/files/read.ts'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import { type Script, builds, fakeEngine, group, machine } from '../../helpers/build-machine.ts'
import { failureOf } from '../../helpers/failure.ts'
import { bytesOf, configOf, layerOf } from '../../helpers/images.ts'
import { type FakeRegistry, startRegistry } from '../../helpers/registry.ts'
import { writeTree } from '../../helpers/tree.ts'

// What `bale build` makes of a run image that an image extension selects. Nothing is extended here: that needs a sandbox.

async function push(registry: FakeRegistry, name: string, config: Partial<ImageConfig> = {}): Promise<string> {
  const layer = await layerOf({ '/etc/os-release': 'ID=alpine\nVERSION_ID=3.22\n' })
  const image = makeImage(configOf(config), [layer])
  registry.addBlob(name, await bytesOf(layer.open()))
  registry.addBlob(name, image.configBytes)
  registry.addManifest(name, 'latest', image.manifest.mediaType, Buffer.from(image.manifestBytes).toString())
  return `${registry.host}/${name}`
}

/** Leaves what detector leaves when an extension selects a run image: no target. */
const selects =
  (image: string): Script =>
  async (_run, mounted) => {
    const extension = '[[group-extensions]]\nid = "test/ext"\nversion = "1.0.0"\napi = "0.10"\n'
    await writeTree(mounted('/layers'), {
      'group.toml': `${group}${extension}`,
      'plan.toml': '',
      'analyzed.toml': `[run-image]\nimage = "${image}"\n[build-image]\nextend = false\n`,
    })
  }

/** @param runToml further tables of builder.toml */
async function selecting(image: string, runToml = '') {
  const seen: { analyzed?: ReturnType<typeof parseAnalyzed> } = {}
  const builder: Script = async (run, mounted) => {
    const file = join(mounted('/layers'), 'analyzed.toml')
    seen.analyzed = parseAnalyzed((await readTrusted(file)) ?? '', file)
    await builds()(run, mounted)
  }
  const engine = fakeEngine({ detector: selects(image), builder })
  const toml = `[[extensions]]\nuri = "ext"\n[[order-extensions]]\n[[order-extensions.group]]\nid = "test/ext"\nversion = "1.0.0"\n`
  const { root, options } = await machine(engine, `${toml}${runToml}`)
  await writeTree(root, {
    'builder/ext/extension.toml': 'api = "0.10"\n[extension]\nid = "test/ext"\nversion = "1.0.0"\n',
  })
  return { options, seen }
}

describe('a run image that an image extension selects', () => {
  it('has its target in analyzed.toml, for the buildpacks, and in a plan', async () => {
    const image = await push(await startRegistry(), 'selected')
    const { options, seen } = await selecting(image)
    const target = { os: 'linux', arch: 'amd64', distro: { name: 'alpine', version: '3.22' } }
    expect((await plan(options)).target).toMatchObject(target)
    await build(options)
    expect(seen.analyzed?.runImage).toMatchObject({ image, target })
  })

  it('has a target, too, if it is the one that the build had', async () => {
    const { options, seen } = await selecting('bale.local/stacks/stack:run')
    await build(options)
    expect(seen.analyzed?.runImage?.target).toMatchObject({ distro: { name: 'debian', version: '13' } })
  })

  it('is refused if it is for another platform', async () => {
    const image = await push(await startRegistry(), 'selected', { architecture: 'arm64' })
    const { options } = await selecting(image)
    const error = (await failureOf(build(options))) as Error
    expect(error.message).toBe(`the run image ${image} is for linux/arm64`)
  })

  it('is read from its mirror, and recorded with its mirrors', async () => {
    const registry = await startRegistry()
    const mirror = await push(registry, 'mirror')
    const other = `${registry.host}/gone`
    const { options } = await selecting(
      other,
      `[[run.images]]\nimage = "${await push(registry, 'default')}"\n[[run.images]]\nimage = "${other}"\nmirrors = ["${mirror}"]\n`,
    )
    const { image } = await build(options)
    const label = image.config.config?.Labels?.['io.buildpacks.lifecycle.metadata'] ?? ''
    expect(JSON.parse(label) as object).toMatchObject({ runImage: { image: other, mirrors: [mirror] } })
  })
})
