// The program that the measurements run. It is bundled, and each measurement starts a new process, as users do.
import { closeSync, createReadStream, mkdirSync, openAsBlob, openSync, writeSync } from 'node:fs'
import { BuildCache } from '../lifecycle/caches/build-cache.ts'
import { directoryCache } from '../lifecycle/caches/directory.ts'
import { imageCache } from '../lifecycle/caches/image.ts'
import { type BuildEvent, silent } from '../lifecycle/events.ts'
import { makeImage } from '../lifecycle/image/image.ts'
import type { Compression } from '../lifecycle/image/media-types.ts'
import { compressLayer } from '../lifecycle/layers/compression/compress.ts'
import { decompress } from '../lifecycle/layers/compression/decompress.ts'
import { layerSource } from '../lifecycle/layers/tree/pack.ts'
import { unpackTree } from '../lifecycle/layers/tree/unpack.ts'
import { inOrder } from '../lifecycle/concurrency.ts'
import { restore } from '../lifecycle/phases/restore.ts'
import { requirePlatformApi } from '../lifecycle/spec/api.ts'
import { Stores } from '../lifecycle/stores/open.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'

const imagePath = '/layers/bench/tree'
const source = (from: string) =>
  layerSource('bench', [{ kind: 'tree', hostPath: from, imagePath, uid: 1000, gid: 1000 }])

const nowhere = {
  platform: hostPlatform(),
  dataDir: '',
  cacheDir: '',
  dockerConfig: '/nonexistent',
  dockerSocket: '',
  environment: {},
}
async function cacheOf(stores: Stores, name: string) {
  const [{ sink, previous }] = await stores.destinations([name], true)
  return imageCache({ ...previous, sink }, { platform: hostPlatform() })
}

const tasks: Record<string, (...args: string[]) => Promise<unknown>> = {
  /** A tree as a layer in a file. */
  async pack(compression, from = '', to = '', level) {
    const fd = openSync(to, 'w')
    await compressLayer(source(from), chunk => void writeSync(fd, chunk), {
      compression: compression as Compression,
      level: level === undefined ? undefined : Number(level),
    })
    closeSync(fd)
  },

  async unpack(compression, from = '', to = '') {
    const bytes = createReadStream(from, { highWaterMark: 1024 * 1024 })
    await unpackTree(decompress(bytes, compression as Compression), { from: imagePath, to })
  },

  /** Trees as layers in a registry, kept in a cache in the directory as builds do. */
  async push(compression, cacheDir = '', to = '', ...trees) {
    await using stores = new Stores({ ...nowhere, dataDir: cacheDir, cacheDir }, silent, {
      compression: compression as Compression,
    })
    const [{ sink }] = await stores.destinations([to], true)
    await using writer = await directoryCache(cacheDir, { compressed: true }).begin()
    const { chunks: recorder } = writer
    await inOrder(trees, 4, tree => sink.putLayer({ ...source(tree), ...(recorder && { chunks: recorder }) }))
    await writer.commit({ buildpacks: [] })
  },

  /** A tree as the layer of a cache image. */
  async keep(to = '', from = '') {
    await using stores = new Stores(nowhere, silent)
    await using writer = await (await cacheOf(stores, to)).begin()
    const { diffId } = await writer.put(source(from))
    const layers = { tree: { sha: diffId, data: {}, build: false, launch: false, cache: true } }
    await writer.commit({ buildpacks: [{ key: 'bench', version: '1.0.0', layers }] })
  },

  /** The restore phase, with that image. */
  async restore(from = '', to = '') {
    mkdirSync(to)
    await using stores = new Stores(nowhere, silent)
    const group = [{ id: 'bench', version: '1.0.0', api: '0.12' }]
    await using cache = new BuildCache({ layers: await cacheOf(stores, from) }, silent)
    const features = requirePlatformApi('0.15')
    await restore({ layersDir: { host: to, image: '/layers' }, group, cache, features, reporter: silent })
  },

  /** Sends a file as a blob to a registry, in one plain request. */
  async send(to = '', file = '', digest = '') {
    const [, host = '', repository = ''] = /^([^/]+)\/(.+)$/.exec(to) ?? []
    const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
    const place = new URL(begun.headers.get('location') ?? '', `http://${host}`)
    place.searchParams.set('digest', `sha256:${digest}`)
    const { status } = await fetch(place, { method: 'PUT', body: await openAsBlob(file) })
    if (status !== 201) throw new Error(`the registry answered ${status}`)
  },

  /** Trees as the layers of an image in a daemon, above those of the image that it has; prints the bytes sent. */
  async load(dockerSocket = '', dir = '', ...trees) {
    let sent = 0
    const last = new Map<string, number>()
    const reporter = {
      ...silent,
      event(event: BuildEvent): void {
        if (event.type !== 'transfer' || event.direction !== 'load') return
        sent += event.done - (last.get(event.id) ?? 0)
        last.set(event.id, event.done)
      },
    }
    await using stores = new Stores({ ...nowhere, dataDir: dir, cacheDir: dir, dockerSocket }, reporter)
    const [{ sink, names, previous }] = await stores.destinations(['docker-daemon:bench'], false)
    await previous.source.pull(previous.name, hostPlatform()) // which tells the sink what the daemon has
    sent = 0 // pulling tells of its bytes in the same way
    const layers = await inOrder(trees, 4, tree => sink.putLayer(source(tree)))
    const image = makeImage({ ...hostPlatform(), config: {}, rootfs: { type: 'layers', diff_ids: [] } }, layers)
    await sink.putImage(image, names)
    console.log(sent)
  },
}

const [name = '', ...args] = process.argv.slice(2)
await tasks[name]?.(...args)
