import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  orderInImage,
  selectionFlags,
  selectionInImage,
} from '../../../lifecycle/platform/builders/selection-in-image.ts'
import type { GivenBuildpacks } from '../../../lifecycle/platform/builders/project-selection.ts'
import { parseProjectDescriptor } from '../../../lifecycle/spec/project-descriptor.ts'
import { failureOf } from '../../helpers/failure.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const project = (text: string) => parseProjectDescriptor(`[_]\nschema-version = "0.2"\n${text}`, 'project.toml')

/** A builder image's files with two buildpacks, one of them in two versions. */
async function image() {
  const dir = await temporaryDirectory()
  const descriptor = (id: string, version: string) =>
    `api = "0.11"\n[buildpack]\nid = "${id}"\nversion = "${version}"\n`
  await writeTree(dir, {
    'order.toml': '[[order]]\n[[order.group]]\nid = "acme/a"\nversion = "1"\noptional = true\n',
    'buildpacks/acme_a/1/buildpack.toml': descriptor('acme/a', '1'),
    'buildpacks/acme_a/2/buildpack.toml': descriptor('acme/a', '2'),
    'buildpacks/b/1/buildpack.toml': descriptor('b', '1'),
  })
  return { order: join(dir, 'order.toml'), buildpacks: join(dir, 'buildpacks') }
}

async function chosen(given: GivenBuildpacks, text?: string): Promise<string[]> {
  const selection = await selectionInImage(given, text === undefined ? undefined : project(text))
  const { groups } = await orderInImage(selection, await image(), AbortSignal.timeout(5000))
  return groups.map(group => group.map(e => `${e.id}@${e.version}${e.optional ? '?' : ''}`).join(' '))
}

describe('the order of a build in a builder image', () => {
  it.each<[string, GivenBuildpacks, string | undefined, string[]]>([
    ['nothing chosen', {}, undefined, ['acme/a@1?']],
    ['a group in its place', { buildpacks: ['b', 'acme/a@2'] }, undefined, ['b@1 acme/a@2']],
    ['with a comma', { buildpacks: ['b,acme/a@2'] }, undefined, ['b@1 acme/a@2']],
    ['by URN', { buildpacks: ['urn:cnb:builder:b@1'] }, undefined, ['b@1']],
    ['before and after', { preBuildpacks: ['b'], postBuildpacks: ['acme/a@2'] }, undefined, ['b@1 acme/a@1? acme/a@2']],
    ['around the order', { buildpacks: ['b', 'from=builder'] }, undefined, ['b@1 acme/a@1?']],
    ['by project.toml', {}, '[[io.buildpacks.group]]\nid = "b"\nversion = "1"\n', ['b@1']],
    ['by project.toml, before', {}, '[[io.buildpacks.pre.buildpacks]]\nid = "b"\n', ['b@1 acme/a@1?']],
    [
      'the user wins over a script',
      { buildpacks: ['b'] },
      '[[io.buildpacks.group]]\nid = "s"\n[io.buildpacks.group.script]\napi = "0.11"\ninline = "true"\n',
      ['b@1'],
    ],
    ['the user wins', { buildpacks: ['acme/a@2'] }, '[[io.buildpacks.group]]\nid = "b"\n', ['acme/a@2']],
  ])('%s', async (_what, given, text, wanted) => {
    expect(await chosen(given, text)).toEqual(wanted)
  })

  it('passes through the flags of the container that makes it', async () => {
    const selection = await selectionInImage(
      { buildpacks: ['urn:cnb:builder', 'from=builder:b@1'], preBuildpacks: ['b'], postBuildpacks: ['acme/a@2'] },
      undefined,
    )
    expect(selectionFlags(selection)).toEqual([
      ...['--buildpack', 'from=builder', '--buildpack', 'b@1'],
      ...['--pre-buildpack', 'b', '--post-buildpack', 'acme/a@2'],
    ])
  })

  it.each<[string, GivenBuildpacks, string | undefined, string]>([
    ['a directory', { buildpacks: ['./mine'] }, undefined, '--buildpack'],
    ['a file', { preBuildpacks: ['mine.cnb'] }, undefined, '--pre-buildpack'],
    ['an image', { postBuildpacks: ['docker://r.test/x'] }, undefined, '--post-buildpack'],
    ['a URL', { buildpacks: ['https://r.test/x.tgz'] }, undefined, '--buildpack'],
    ['a URI of project.toml', {}, '[[io.buildpacks.group]]\nuri = "./mine"\n', 'project.toml:3 io.buildpacks.group[0]'],
    [
      'a script',
      {},
      '[[io.buildpacks.group]]\nid = "s"\n[io.buildpacks.group.script]\napi = "0.11"\ninline = "true"\n',
      'project.toml:3 io.buildpacks.group[0]',
    ],
  ])('refuses %s, with the place', async (_what, given, text, where) => {
    expect(await failureOf(chosen(given, text))).toMatchObject({
      code: 'input',
      message: expect.stringContaining('uses only the buildpacks of its builder image') as string,
      where,
      fix: expect.stringContaining('bale builder create') as string,
    })
  })

  it.each([
    ['absent@1', 'the buildpack absent is not in the builder'],
    ['b@2', 'the buildpack b is not in the builder in version 2: 1'],
    ['acme/a', 'the buildpack acme/a is in the builder in several versions: 1, 2'],
  ])('says what the image does not have: %s', async (uri, message) => {
    expect(await failureOf(chosen({ buildpacks: [uri] }))).toMatchObject({ code: 'input', message })
  })

  it('needs a builder image', async () => {
    const nowhere = { order: '/nowhere/order.toml', buildpacks: '/nowhere' }
    const selection = await selectionInImage({}, undefined)
    expect(await failureOf(orderInImage(selection, nowhere, AbortSignal.timeout(5000)))).toMatchObject({
      where: '/nowhere/order.toml',
      fix: expect.stringContaining('builder image') as string,
    })
  })
})
