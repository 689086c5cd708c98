import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeImage } from '../../lifecycle/image/image.ts'
import { dockerArchiveStore } from '../../lifecycle/stores/docker-archive/store.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { isInstalled } from '../helpers/daemons.ts'
import { type Files, bytesOf, configOf, noise, platform, sourceOf, tarOf, uncompressed } from '../helpers/images.ts'
import { type Available, suiteWith } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const available: Available<string> = isInstalled('skopeo')
  ? { state: 'available', value: 'skopeo' }
  : { state: 'missing', reason: 'skopeo is not installed' }

const trees: readonly Files[] = [{ '/a': noise(100_000) }, { '/app/hello.txt': 'hello' }]
const reference = 'docker.io/library/hello:v1'

interface Transport {
  /** As skopeo writes it: `oci:DIR:v1`. */
  readonly name: string
  readonly inner: string
  readonly open: () => ImageStore
}

function transports(dir: string): Record<string, Transport> {
  const at = (name: string): string => join(dir, name)
  return {
    oci: { name: `oci:${at('layout')}:v1`, inner: 'v1', open: () => layoutStore(at('layout')) },
    'oci with a reference for a name': {
      name: `oci:${at('own')}:index.docker.io/library/hello:latest`,
      inner: 'index.docker.io/library/hello:latest',
      open: () => layoutStore(at('own')),
    },
    'oci without a name': { name: `oci:${at('bare')}`, inner: '', open: () => layoutStore(at('bare')) },
    'oci of zstd': {
      name: `oci:${at('zstd')}:v1`,
      inner: 'v1',
      open: () => layoutStore(at('zstd'), { compression: 'zstd' }),
    },
    'oci-archive': {
      name: `oci-archive:${at('oci.tar')}:v1`,
      inner: 'v1',
      open: () => ociArchiveStore(at('oci.tar'), { tmpDir: dir }),
    },
    'docker-archive': {
      name: `docker-archive:${at('docker.tar')}:${reference}`,
      inner: reference,
      open: () => dockerArchiveStore(at('docker.tar'), { tmpDir: dir }),
    },
  }
}
const kinds = Object.keys(transports('/'))

suiteWith('skopeo', available, () => {
  it.each(kinds)('reads what Bale writes: %s', async kind => {
    const dir = await temporaryDirectory()
    const { name, inner, open } = transports(dir)[kind]!
    const store = open()
    const layers = [await store.putLayer(sourceOf(trees[0]!)), await store.putLayer(sourceOf(trees[1]!))]
    const config = configOf({ created: '2026-01-02T03:04:05Z', config: { Labels: { a: 'b' } }, history: [{}, {}] })
    const image = makeImage(config, layers)
    const published = await store.putImage(image, [inner])
    const shown = JSON.parse(await skopeo('inspect', name)) as { Digest: string; Labels: object; Layers: string[] }
    expect(shown.Labels).toEqual({ a: 'b' })
    expect(shown.Layers).toHaveLength(2)
    if (kind !== 'docker-archive') expect(shown.Digest).toBe(published.digest)
    expect(await skopeo('inspect', '--config', '--raw', name)).toBe(Buffer.from(image.configBytes).toString())
    // Copying reads every layer, and checks its digest and diffID.
    await skopeo('copy', '-q', name, `oci:${join(dir, 'copy')}:v1`)
    const copied = await layoutStore(join(dir, 'copy')).pull('v1', platform)
    expect(copied?.layers.map(l => l.diffId)).toEqual(layers.map(l => l.diffId))
  })

  it.each(kinds)('writes what Bale reads: %s', async kind => {
    const dir = await temporaryDirectory()
    const source = layoutStore(join(dir, 'source'))
    const layers = [await source.putLayer(sourceOf(trees[0]!)), await source.putLayer(sourceOf(trees[1]!))]
    await source.putImage(makeImage(configOf(), layers), ['v1'])
    const { name, inner, open } = transports(dir)[kind]!
    await skopeo('copy', '-q', `oci:${join(dir, 'source')}:v1`, name)
    const found = await open().pull(inner, platform)
    for (const [i, tree] of trees.entries()) {
      const layer = found!.layers[i]!
      expect(uncompressed(await bytesOf(layer.open()), layer.mediaType)).toEqual(await tarOf(tree))
    }
  })

  it('and Bale write into one layout', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(join(dir, 'layout'))
    await store.putImage(makeImage(configOf(), [await store.putLayer(sourceOf(trees[0]!))]), ['bale'])
    await skopeo('copy', '-q', `oci:${join(dir, 'layout')}:bale`, `oci:${join(dir, 'layout')}:skopeo`)
    await store.putImage(makeImage(configOf(), [await store.putLayer(sourceOf(trees[1]!))]), ['bale'])
    expect((await store.list()).map(i => i.name)).toEqual(['bale', 'skopeo'])
    for (const name of ['bale', 'skopeo']) await skopeo('inspect', `oci:${join(dir, 'layout')}:${name}`)
  })

  it('takes a copy of ours for the same image: the digest stays', async () => {
    const dir = await temporaryDirectory()
    const store = ociArchiveStore(join(dir, 'a.tar'), { tmpDir: dir })
    const { digest } = await store.putImage(makeImage(configOf(), [await store.putLayer(sourceOf(trees[0]!))]), ['v1'])
    await skopeo('copy', '-q', `oci-archive:${join(dir, 'a.tar')}:v1`, `oci:${join(dir, 'b')}:v1`)
    expect((await layoutStore(join(dir, 'b')).pull('v1', platform))?.digest).toBe(digest)
  })
})

async function skopeo(...argv: string[]): Promise<string> {
  const policy = join(await temporaryDirectory(), 'policy.json')
  await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const child = spawn('skopeo', ['--policy', policy, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = [
    bytesOf(child.stdout as AsyncIterable<Uint8Array>),
    bytesOf(child.stderr as AsyncIterable<Uint8Array>),
  ]
  const [status] = (await once(child, 'close')) as [number]
  if (status !== 0) throw new Error(`skopeo ${argv.join(' ')}: ${String(await err)}`)
  return String(await out)
}
