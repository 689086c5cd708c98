import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeImage } from '../../../lifecycle/image/image.ts'
import { readInputs } from '../../../lifecycle/platform/extensions/extension-inputs.ts'
import { configOf } from '../../helpers/images.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

const base = { image: makeImage(configOf(), []), name: 'builder', rootfs: ['/unpacked'] }
const extensions = [{ id: 'acme/a', version: '1.0.0', api: '0.10' }]

/** @param generated the files of the extension @param source those of the app */
async function inputs(generated: Tree, source: Tree = {}, app = '/workspace', network: 'none' | 'host' = 'host') {
  const dir = await temporaryDirectory()
  const workspace = { layers: join(dir, 'layers'), app: join(dir, 'app'), imagePaths: { layers: '/layers', app } }
  await mkdir(workspace.app)
  await writeTree(join(workspace.layers, 'generated/acme_a'), generated)
  await writeTree(workspace.app, source)
  return readInputs('build', base, extensions, workspace, network, AbortSignal.timeout(60_000))
}

const dockerfile = (...lines: string[]): Tree => ({
  'build.Dockerfile': ['ARG base_image', 'FROM ${base_image}', ...lines, ''].join('\n'),
})

describe('the inputs of Dockerfiles', () => {
  it.each([
    ['RUN reads it', dockerfile('RUN xargs apt-get install </workspace/Aptfile'), '/workspace'],
    ['RUN reads it from /', dockerfile('RUN cd / && cat workspace/Aptfile'), '/workspace'],
    ['it is elsewhere', dockerfile('RUN cat /home/app/src/Aptfile'), '/home/app/src'],
    ['COPY reads it', dockerfile('COPY Aptfile /srv/'), '/workspace'],
    ['ADD reads it', dockerfile('ADD Aptfile /srv/'), '/workspace'],
    ['an argument names it', { ...dockerfile('RUN x'), 'extend-config.toml': 'value = "/workspace/x"' }, '/workspace'],
    ['a copied script names it', { ...dockerfile('COPY x /'), 'context/x': 'cat /workspace/Aptfile' }, '/workspace'],
  ] as const)('are the source, too, if %s', async (_when, generated, app) => {
    const before = await inputs(generated, { Aptfile: 'jq' }, app)
    expect(before.seesSource).toBe(true)
    expect((await inputs(generated, { Aptfile: 'jq' }, app)).key).toBe(before.key)
    expect((await inputs(generated, { Aptfile: 'curl' }, app)).key).not.toBe(before.key)
  })

  it.each([
    ['nothing names it', dockerfile('RUN apt-get install jq')],
    ['COPY has a context of its own', { ...dockerfile('COPY x /'), 'context/x': 'echo' }],
  ] as const)('are not the source if %s: it is neither shown nor compared', async (_when, generated) => {
    const before = await inputs(generated, { Aptfile: 'jq' })
    expect(before.seesSource).toBe(false)
    expect((await inputs(generated, { Aptfile: 'curl' })).key).toBe(before.key)
  })

  it('are all generated files, which RUN can read without COPY', async () => {
    const generated = dockerfile('RUN sh /layers/generated/acme_a/context/x')
    const before = await inputs({ ...generated, 'context/x': 'echo 1' })
    expect((await inputs({ ...generated, 'context/x': 'echo 2' })).key).not.toBe(before.key)
  })

  it('are the network, too: RUN may go on without it, with another result', async () => {
    const generated = dockerfile('RUN apt-get install -y jq || true')
    const [online, offline] = [await inputs(generated), await inputs(generated, {}, '/workspace', 'none')]
    expect(offline.key).not.toBe(online.key)
  })

  it('have no key with the id of the build', async () => {
    expect((await inputs(dockerfile('ARG build_id=0', 'RUN echo $build_id'))).key).toBeUndefined()
  })
})
