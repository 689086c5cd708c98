import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { extract } from 'tar-stream'
import { BuildCache } from '../../lifecycle/caches/build-cache.ts'
import type { Cache } from '../../lifecycle/caches/cache.ts'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import type { ImageConfig } from '../../lifecycle/image/config.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { analyze, runImageMetadata } from '../../lifecycle/phases/analyze.ts'
import { build } from '../../lifecycle/phases/build.ts'
import { BuildpacksDir } from '../../lifecycle/phases/buildpacks-dir.ts'
import { type Exported, type ImageSettings, exportImage } from '../../lifecycle/phases/export.ts'
import { restore } from '../../lifecycle/phases/restore.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { parseLayersMetadata } from '../../lifecycle/spec/labels.ts'
import type { LayersMetadata } from '../../lifecycle/spec/types.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { bytesOf, configOf, layerOf, platform, uncompressed } from '../helpers/images.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { buildpack, recorder } from './harness.ts'

/** What stays from one build of an app to the next: its images and its cache. */
export interface Project {
  readonly root: string
  readonly store: ImageStore
  readonly cache: Cache
  readonly runImage: Image
}

const runImageConfig: Partial<ImageConfig> = {
  config: {
    User: '1002:1000',
    Env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8'],
    Cmd: ['bash'],
    StopSignal: 'SIGQUIT',
    Labels: {
      maintainer: 'base',
      'io.buildpacks.rebasable': 'true',
      'io.buildpacks.base.distro.name': 'debian',
      'io.buildpacks.base.distro.version': '13',
    },
  },
}

export async function openProject(root: string, config = runImageConfig): Promise<Project> {
  const store = memoryStore()
  const layer = await store.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\n' }))
  const runImage = makeImage(configOf(config), [layer])
  await store.putImage(runImage, ['base'])
  return { root, store, cache: directoryCache(join(root, 'cache')), runImage }
}

export interface Rebuilt extends Exported {
  /** The layers directory of this build, as it is in the end. */
  readonly layers: string
  readonly workspace: string
  readonly label: LayersMetadata
  readonly events: ReturnType<typeof recorder>['events']
}

type Overrides = Partial<Pick<ImageSettings, 'defaultProcess' | 'createdEpoch' | 'project'>> & {
  readonly app?: Tree
  /** Buildpack API. */
  readonly api?: string
  readonly platformApi?: string
  readonly cache?: false
}

/**
 * One build with the phases one after another, in a directory of its own: analyze, restore, build, export. The buildpacks
 * are the scripts of bin/build by id, in the group's order; each finds in `$1` what was restored for it.
 */
export async function rebuild(
  project: Project,
  scripts: Readonly<Record<string, string>>,
  overrides: Overrides = {},
): Promise<Rebuilt> {
  const { store, runImage } = project
  const { app = { 'main.js': 'main' }, api = '0.12', platformApi = '0.15', cache, ...rest } = overrides
  const dir = join(project.root, randomUUID())
  const buildpacks = Object.entries(scripts).map(([id, script]) => buildpack(id, { build: script, api }))
  await writeTree(dir, {
    ...Object.assign({}, ...buildpacks),
    'platform/env': { dir: true },
    layers: { dir: true },
    workspace: { dir: true },
    launcher: 'the launcher',
  } as Tree)
  await writeTree(join(dir, 'workspace'), app)
  const reporter = recorder()
  const layers = join(dir, 'layers')
  const layersDir = { host: layers, image: '/layers' }
  const features = requirePlatformApi(platformApi)
  const destination = { sink: store, names: ['app'] }
  const group = Object.keys(scripts).map(id => ({ id, version: '1.0.0', api }))
  await using used = new BuildCache(cache === false ? {} : { layers: project.cache }, reporter)

  const analysis = await analyze({
    platform,
    previous: { source: store, name: 'app' },
    runImage: { names: { image: 'base', mirrors: [] }, open: name => Promise.resolve({ source: store, name }) },
    destinations: [destination],
    reporter,
  })
  const { previous } = analysis
  await restore({ layersDir, group, previous, cache: used, features, reporter })
  await build({
    appDir: join(dir, 'workspace'),
    layersDir: layers,
    platformDir: join(dir, 'platform'),
    group,
    plan: { entries: [] },
    buildpacks: new BuildpacksDir(join(dir, 'buildpacks')),
    target: analysis.target,
    execEnv: 'production',
    env: { inherited: { PATH: process.env['PATH'] as string, HOME: dir }, user: [], operator: [] },
    features,
    reporter,
  })
  const exported = await exportImage({
    output: {
      layersDir,
      appDir: { host: join(dir, 'workspace'), image: '/workspace' },
      group,
      owner: { uid: 1001, gid: 1000 },
    },
    runImage: { image: runImage, metadata: runImageMetadata(runImage, 'r.io/base:1') },
    previous,
    destination,
    cache: used,
    settings: { launcher: { path: join(dir, 'launcher'), version: '1.2.3' }, project: {}, ...rest },
    features,
    reporter,
  })
  const label = parseLayersMetadata(labelsOf(exported.image)['io.buildpacks.lifecycle.metadata'] ?? '', 'label')
  return { ...exported, layers, workspace: join(dir, 'workspace'), label, events: reporter.events }
}

export const labelsOf = (image: Image): Readonly<Record<string, string>> => image.config.config?.Labels ?? {}

/** An entry of a layer, by its absolute path. */
export interface Entry {
  readonly type: string
  readonly content: string
  readonly link?: string
  readonly owner: string
  readonly mode: number
  readonly mtime: string
}

export async function entriesOf(layer: Layer): Promise<Map<string, Entry>> {
  return entriesIn(uncompressed(await bytesOf(layer.open()), layer.mediaType))
}

/** The entries of a tar, in their order. */
export async function entriesIn(tar: Uint8Array): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>()
  const archive = extract()
  archive.end(tar)
  for await (const entry of archive) {
    const { name, type, linkname, uid, gid, mode, mtime } = entry.header
    entries.set(name, {
      type: type ?? '',
      content: (await bytesOf(entry as AsyncIterable<Uint8Array>)).toString(),
      ...(linkname && { link: linkname }),
      owner: `${uid}:${gid}`,
      mode: mode ?? 0,
      mtime: mtime?.toISOString() ?? '',
    })
  }
  return entries
}

/** All files of the image, later layers over earlier ones. */
export async function filesOf(image: Image): Promise<Map<string, Entry>> {
  const all = new Map<string, Entry>()
  for (const layer of image.layers) for (const [path, entry] of await entriesOf(layer)) all.set(path, entry)
  return all
}

export function layerWith(image: Image, sha: string | undefined): Layer {
  const layer = image.layers.find(l => l.diffId === sha)
  if (layer === undefined) throw new Error(`the image has no layer ${sha}`)
  return layer
}
