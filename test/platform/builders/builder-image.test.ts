import { describe, expect, it } from 'vitest'
import { makeImage } from '../../../lifecycle/image/image.ts'
import { readBuilderContents, readBuilderImage } from '../../../lifecycle/platform/builders/builder-image.ts'
import { failureOf } from '../../helpers/failure.ts'
import { builderMetadata, shellBuildpack } from '../../helpers/builder-images.ts'
import { configOf } from '../../helpers/images.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

const user = ['CNB_USER_ID=1000', 'CNB_GROUP_ID=2000']

function imageOf(labels: Readonly<Record<string, unknown>>, env: readonly string[] = user, User = '') {
  const texts = Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, JSON.stringify(value)]))
  return makeImage(configOf({ config: { Env: [...env], Labels: texts, User } }), [])
}

/** What files and labels of an unpacked builder say; a tree is a layer. */
async function contentsOf(layers: readonly Tree[], labels: Readonly<Record<string, unknown>> = {}) {
  const dirs: string[] = []
  for (const tree of layers) {
    const dir = await temporaryDirectory()
    await writeTree(dir, tree)
    dirs.push(dir)
  }
  const image = imageOf({ 'io.buildpacks.builder.metadata': builderMetadata(), ...labels })
  return readBuilderContents(readBuilderImage(image, 'acme/builder'), dirs, 'acme/builder')
}

const order = '[[order]]\n[[order.group]]\nid = "acme/a"\n'

describe('a builder image', () => {
  it('has lifecycle, run images and user, from labels and variables', () => {
    const { metadata, user: found } = readBuilderImage(
      imageOf({
        'io.buildpacks.builder.metadata': builderMetadata({ images: [{ image: 'x/run', mirrors: ['y/run'] }] }),
      }),
      'acme/builder',
    )
    expect(found).toEqual({ uid: 1000, gid: 2000 })
    expect(metadata.runImages[0]).toEqual({ image: 'x/run', mirrors: ['y/run'] })
    expect(metadata.lifecycle.platformApis.at(-1)).toBe('0.13')
    expect(metadata.lifecycle.version).toBe('0.20.5')
  })

  it('of an old pack has one API of each kind', () => {
    const old = builderMetadata({ lifecycle: { version: '0.7.0', api: { buildpack: '0.2', platform: '0.3' } } })
    const { metadata } = readBuilderImage(imageOf({ 'io.buildpacks.builder.metadata': old }), 'b')
    expect(metadata.lifecycle).toEqual({ version: '0.7.0', platformApis: ['0.3'], buildpackApis: ['0.2'] })
  })

  it('may have its user in the config alone', () => {
    const image = imageOf({ 'io.buildpacks.builder.metadata': builderMetadata() }, [], '7:8')
    expect(readBuilderImage(image, 'b').user).toEqual({ uid: 7, gid: 8 })
  })

  it.each([
    ['is none', imageOf({}), 'no label io.buildpacks.builder.metadata'],
    ['has no user', imageOf({ 'io.buildpacks.builder.metadata': builderMetadata() }, [], 'cnb'), 'has no user'],
    ['has metadata that is not a JSON object', imageOf({ 'io.buildpacks.builder.metadata': 7 }), 'not a JSON object'],
  ])('that %s is refused', (_what, image, message) => {
    expect(() => readBuilderImage(image, 'acme/builder')).toThrow(message)
  })
})

describe('the files of a builder image', () => {
  it('of several layers are seen as laid over each other', async () => {
    const found = await contentsOf([
      {
        ...shellBuildpack('acme/a', '1.0.0'),
        'cnb/order.toml': 'broken',
        'cnb/stack.toml': '[run-image]\nimage = "s"\n',
      },
      { 'cnb/order.toml': order, ...shellBuildpack('acme/b', '2.0.0') },
    ])
    expect(found.order.groups).toEqual([[{ id: 'acme/a', version: '1.0.0', optional: false }]])
    expect(found.buildpacks.map(({ id }) => id)).toEqual(['acme/a', 'acme/b'])
    expect(found.runImages).toEqual([{ image: 's', mirrors: [] }])
  })

  it('may lack order and run image: labels have them', async () => {
    const found = await contentsOf([shellBuildpack('acme/a', '1.0.0')], {
      'io.buildpacks.buildpack.order': [{ group: [{ id: 'acme/a', version: '1.0.0', optional: true }] }],
    })
    expect(found.order.groups).toEqual([[{ id: 'acme/a', version: '1.0.0', optional: true }]])
    expect(found.runImages).toEqual([{ image: 'registry.invalid/run', mirrors: [] }])
  })

  it.each([
    ['no order', [shellBuildpack('acme/a', '1.0.0')], 'the builder has no order'],
    ['an order that names what is not there', [{ 'cnb/order.toml': order }], 'it is not in the builder'],
    [
      'an order that does not say which version',
      [{ ...shellBuildpack('acme/a', '1.0.0'), ...shellBuildpack('acme/a', '2.0.0'), 'cnb/order.toml': order }],
      'several versions: 1.0.0, 2.0.0',
    ],
  ] as const)('with %s are refused', async (_what, layers, message) => {
    expect(await failureOf(contentsOf(layers))).toMatchObject({ message: expect.stringContaining(message) as string })
  })

  it('X23 lead nowhere by links: neither a file nor a directory on the way to it', async () => {
    const secret = await temporaryDirectory()
    await writeTree(secret, { 'order.toml': order })
    expect(await failureOf(contentsOf([{ cnb: { link: secret } }]))).toMatchObject({ code: 'input', where: '/cnb' })
    const file = await failureOf(contentsOf([{ 'cnb/order.toml': { link: `${secret}/order.toml` } }]))
    expect(file).toMatchObject({ code: 'input', message: expect.stringContaining('link') as string })
  })
})
