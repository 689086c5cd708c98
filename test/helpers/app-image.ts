import type { ImageConfig } from '../../lifecycle/image/config.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { type Files, configOf, sourceOf } from './images.ts'

export interface RunImageOptions {
  readonly labels?: Readonly<Record<string, string>>
  readonly config?: Partial<ImageConfig>
  /** A tree for each layer. */
  readonly layers?: readonly Files[]
}

/** A run image, put into a store under a name. */
export async function putRunImage(store: ImageStore, name: string, options: RunImageOptions = {}): Promise<Image> {
  const { labels = debian, config = {}, layers = [{ '/etc/os-release': 'ID=debian' }, { '/lib/libc': name }] } = options
  const stored = []
  for (const tree of layers) stored.push(await store.putLayer(sourceOf(tree)))
  const history = stored.map((_, i) => ({ created: '2025-05-05T05:05:05Z', created_by: `layer ${i} of ${name}` }))
  const run = { Env: ['PATH=/bin'], User: '1001:1001', Labels: labels }
  const image = makeImage(configOf({ created: '2025-05-05T05:05:05Z', config: run, history, ...config }), stored)
  await store.putImage(image, [name])
  return { ...image, layers: stored }
}

export const debian = {
  'io.buildpacks.base.id': 'example.run',
  'io.buildpacks.base.distro.name': 'debian',
  'io.buildpacks.base.distro.version': '13',
}

export interface AppImageOptions {
  /** The value of the label, or how it differs from the usual one. */
  readonly label?: string | ((usual: Label) => unknown)
  /** More labels, or others. */
  readonly labels?: Readonly<Record<string, string>>
  /** CNB_PLATFORM_API in its environment. */
  readonly platformApi?: string | undefined
  readonly config?: Partial<ImageConfig>
  readonly layers?: Readonly<Record<'config' | 'launcher' | 'node' | 'sbom' | 'slice', Files>>
}

export interface Label {
  app: { sha: string }[]
  runImage: { topLayer: string; reference: string; image?: string; mirrors?: string[] }
  stack?: { runImage: { image: string; mirrors?: string[] } }
  [key: string]: unknown
}

export const appLayers = {
  node: { '/layers/example_node/node/bin/node': 'node' },
  sbom: { '/layers/sbom/launch/sbom.legacy.json': '[]' },
  slice: { '/workspace/server.js': 'console.log(1)' },
  launcher: { '/cnb/lifecycle/launcher': 'launcher' },
  config: { '/layers/config/metadata.toml': '' },
}

/**
 * An app image as the Go lifecycle makes it, its label written by hand after platform.md, "Labels", and put into a store
 * under a name.
 */
export async function putAppImage(
  store: ImageStore,
  name: string,
  runImage: { image: Image; name: string },
  options: AppImageOptions = {},
): Promise<Image> {
  const trees = options.layers ?? appLayers
  const own: Layer[] = []
  for (const tree of Object.values(trees)) own.push(await store.putLayer(sourceOf(tree)))
  const base = []
  for (const layer of runImage.image.layers) base.push(await store.putLayer(layer))
  const sha = (key: keyof typeof trees): { sha: string } => ({ sha: own[Object.keys(trees).indexOf(key)]!.diffId })
  const usual: Label = {
    app: [sha('slice')],
    sbom: sha('sbom'),
    buildpacks: [
      {
        key: 'example/node',
        version: '1.2.3',
        layers: { node: { ...sha('node'), data: { version: '24' }, build: false, launch: true, cache: false } },
      },
    ],
    config: sha('config'),
    launcher: sha('launcher'),
    'process-types': {},
    runImage: {
      topLayer: runImage.image.layers.at(-1)!.diffId,
      reference: `example.com/run@${runImage.image.digest}`,
      image: runImage.name,
    },
    stack: { runImage: { image: runImage.name } },
  }
  const { label = usual, platformApi = '0.13' } = options
  const value = typeof label === 'string' ? label : JSON.stringify(typeof label === 'function' ? label(usual) : label)
  const created = '1980-01-01T00:00:01Z'
  const { config } = runImage.image.config
  const image = makeImage(
    {
      ...runImage.image.config,
      created,
      config: {
        ...config,
        Env: [
          ...(config?.Env ?? []),
          ...('platformApi' in options && !options.platformApi ? [] : [`CNB_PLATFORM_API=${platformApi}`]),
        ],
        Entrypoint: ['/cnb/process/web'],
        Labels: { ...config?.Labels, 'io.buildpacks.lifecycle.metadata': value, ...options.labels },
      },
      history: [
        ...(runImage.image.config.history ?? []).map(h => ({ ...h, created })),
        ...Object.keys(trees).map(key => ({ created, created_by: `Layer: '${key}'` })),
      ],
      ...options.config,
    },
    [...base, ...own],
  )
  await store.putImage(image, [name])
  return (await store.pull(name, { os: image.config.os, architecture: image.config.architecture }))!
}
