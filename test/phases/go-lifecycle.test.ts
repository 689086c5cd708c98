import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { BuildCache } from '../../lifecycle/caches/build-cache.ts'
import type { Cache } from '../../lifecycle/caches/cache.ts'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { imageCache } from '../../lifecycle/caches/image.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { docker } from '../../lifecycle/image/media-types.ts'
import { analyze } from '../../lifecycle/phases/analyze.ts'
import { restore } from '../../lifecycle/phases/restore.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { type AppImageOptions, putAppImage, putRunImage } from '../helpers/app-image.ts'
import { tarFrom } from '../helpers/archives.ts'
import { configOf, pieces, platform } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { recorder } from './harness.ts'

// What the Go lifecycle left, written by hand after platform.md, "Labels", with the keys that it may leave out, or writes beside.

const group = [{ id: 'example/node', version: '2.0.0', api: '0.10' }]
const dir = { type: 'directory', mode: 0o755 } as const

/** A layer as Go's archives have it: absolute names, parents first, no slash at the end of a directory. */
const npmTar = () =>
  tarFrom({
    '/layers': dir,
    '/layers/example_node': dir,
    '/layers/example_node/npm': dir,
    '/layers/example_node/npm/cached': 'from Go',
  })

async function cacheMetadata(rest: object = {}) {
  const npm = { sha: digestOf(await npmTar()), data: { lock: 'abc' }, build: true, launch: false, cache: true }
  return JSON.stringify({
    buildpacks: [{ key: 'example/node', version: '1.2.3', layers: { npm, ...rest } }],
    sbom: { sha: '' },
  })
}

/** The cache volume: a generation in `committed`. */
async function volume(metadata?: string): Promise<string> {
  const root = await temporaryDirectory()
  const committed = join(root, 'committed')
  await mkdir(committed)
  await mkdir(join(root, 'staging'))
  const tar = await npmTar()
  await writeFile(join(committed, `${digestOf(tar)}.tar`), tar)
  await writeFile(join(committed, 'io.buildpacks.lifecycle.cache.metadata'), metadata ?? (await cacheMetadata()))
  return root
}

/** The cache image, of Docker's media types as Go's registry client writes them. */
async function cacheImage(onWarning: (text: string) => void) {
  const store = memoryStore()
  const tar = await npmTar()
  const blob = gzipSync(tar)
  const layer: Layer = {
    kind: 'layer',
    diffId: digestOf(tar),
    digest: digestOf(blob),
    size: blob.length,
    mediaType: docker.layerGzip,
    open: () => pieces(blob, 100),
  }
  const Labels = { 'io.buildpacks.lifecycle.cache.metadata': await cacheMetadata() }
  const image = makeImage(configOf({ config: { Labels } }), [await store.putLayer(layer)], 'docker')
  await store.putImage(image, ['cache'])
  return imageCache({ source: store, sink: store, name: 'cache' }, { platform, onWarning })
}

async function restored(app: AppImageOptions, layersCache?: Cache, api = '0.15') {
  const store = memoryStore()
  const reporter = recorder()
  const run = await putRunImage(store, 'run')
  await putAppImage(store, 'app', { image: run, name: 'run' }, app)
  const { previous } = await analyze({
    platform,
    previous: { source: store, name: 'app' },
    runImage: { names: { image: 'run', mirrors: [] }, open: name => Promise.resolve({ source: store, name }) },
    destinations: [{ sink: store, names: ['app'] }],
    reporter,
  })
  const layers = await temporaryDirectory()
  const features = requirePlatformApi(api)
  const layersDir = { host: layers, image: '/layers' }
  const cache = new BuildCache(layersCache ? { layers: layersCache } : {}, reporter)
  await restore({ layersDir, group, previous, cache, features, reporter })
  const file = (path: string) => readFile(join(layers, 'example_node', path), 'utf8').catch(() => undefined)
  const warnings = reporter.events.flatMap(e => (e.type === 'warning' ? [e.text] : []))
  return { file, warnings, previous, names: await readdir(join(layers, 'example_node')).catch(() => []) }
}

describe('an image of the Go lifecycle', () => {
  it.each(['0.7', '0.12', '0.15'])(
    'gives back metadata and store at Platform API %s, whatever version the buildpack has now',
    async api => {
      const label: AppImageOptions['label'] = usual => {
        const [node] = usual['buildpacks'] as object[]
        return { ...usual, buildpacks: [{ ...node, store: { metadata: { seen: 3 } } }] }
      }
      const { file, warnings } = await restored({ label }, undefined, api)
      expect(await file('node.toml')).toBe('[metadata]\nversion = "24"\n')
      expect(await file('store.toml')).toContain('seen = 3')
      expect(warnings).toEqual([])
    },
  )

  it.each<[string, AppImageOptions['label']]>([
    [
      'null where there is nothing',
      usual => ({
        ...usual,
        buildpacks: [...(usual['buildpacks'] as object[]), { key: 'x', version: '', layers: null }],
        sbom: null,
      }),
    ],
    ['without stack, process types and versions', ({ stack: _s, 'process-types': _p, ...u }) => u],
    ['with digests that are none', usual => ({ ...usual, config: { sha: '' }, launcher: { sha: 'x' }, app: [{}] })],
    [
      'with keys of a later API',
      usual => ({ ...usual, 'exec-env': 'test', runImage: { ...usual.runImage, extend: true } }),
    ],
  ])('is read where its label is written %s', async (_how, label) => {
    const { file, warnings } = await restored({ label })
    expect(await file('node.toml')).toContain('version = "24"')
    expect(warnings).toEqual([])
  })

  it('D09 is restored from but for layers whose names would be paths or files of ours', async () => {
    const label: AppImageOptions['label'] = usual => {
      const [node] = usual['buildpacks'] as { layers: Record<string, object> }[]
      const bad = Object.fromEntries(['..', 'store', 'a/b', ''].map(name => [name, node!.layers['node']!]))
      return { ...usual, buildpacks: [{ ...node, layers: { ...bad, ...node!.layers } }] }
    }
    const { file, names, warnings } = await restored({ label })
    expect(await file('node.toml')).toBe('[metadata]\nversion = "24"\n')
    expect(names).toEqual(['node.toml'])
    expect(warnings).toHaveLength(4)
    for (const warning of warnings)
      expect(warning).toMatch(/^a layer of the previous build of \S+ is not used: .+ cannot be/)
  })

  it('is nothing to restore from where its label names no buildpack', async () => {
    const { names, warnings, previous } = await restored({ label: '{}' })
    expect([names, warnings]).toEqual([[], []])
    expect(previous?.metadata.buildpacks).toEqual([])
  })

  it('is no obstacle where its label is damaged', async () => {
    for (const label of ['{"app":', '"text"', '{"buildpacks":"none"}']) {
      const { names, warnings, previous } = await restored({ label })
      expect(names).toEqual([])
      expect(previous).toBeUndefined()
      expect(warnings).toHaveLength(1)
    }
  })
})

describe('a cache of the Go lifecycle', () => {
  it('is read from its volume', async () => {
    const warnings: string[] = []
    const cache = directoryCache(await volume(), { onWarning: text => warnings.push(text) })
    const { file, ...rest } = await restored({}, cache)
    expect(await file('npm/cached')).toBe('from Go')
    expect(await file('npm.toml')).toBe('[metadata]\nlock = "abc"\n')
    expect([...warnings, ...rest.warnings]).toEqual([])
  })

  it('is read from its image', async () => {
    const warnings: string[] = []
    const { file, ...rest } = await restored({}, await cacheImage(text => warnings.push(text)))
    expect(await file('npm/cached')).toBe('from Go')
    expect([...warnings, ...rest.warnings]).toEqual([])
  })

  it('gives what it has where a layer of it is missing', async () => {
    const lost = { sha: `sha256:${'0'.repeat(64)}`, data: {}, build: true, launch: false, cache: true }
    const odd = { ...lost, sha: 'odd' }
    const { file, names, warnings } = await restored(
      {},
      directoryCache(await volume(await cacheMetadata({ lost, odd }))),
    )
    expect(await file('npm/cached')).toBe('from Go')
    expect(names.filter(name => /lost|odd/.test(name))).toEqual([])
    expect(warnings).toHaveLength(2)
  })

  it('is not read where its launch layer is not that of the app image', async () => {
    const node = { sha: digestOf(await npmTar()), data: {}, build: false, launch: true, cache: true }
    const { file } = await restored({}, directoryCache(await volume(await cacheMetadata({ node }))))
    expect(await file('node.toml')).toBeUndefined()
  })
})
