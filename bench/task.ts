// What the measurements run, bundled, in a process of its own each time, as users have it.
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import { silent } from '../lifecycle/events.ts'
import type { Compression } from '../lifecycle/image/media-types.ts'
import { compressLayer, decompress } from '../lifecycle/layers/compress.ts'
import { layerSource } from '../lifecycle/layers/pack.ts'
import { unpackTree } from '../lifecycle/layers/unpack.ts'
import { inOrder } from '../lifecycle/phases/in-order.ts'
import { Stores } from '../lifecycle/stores/open.ts'

const imagePath = '/layers/bench/tree'
const source = (from: string) =>
  layerSource('bench', [{ kind: 'tree', hostPath: from, imagePath, uid: 1000, gid: 1000 }])

const tasks: Record<string, (...args: string[]) => Promise<unknown>> = {
  /** A tree as a layer in a file. */
  async pack(compression, from = '', to = '') {
    const fd = openSync(to, 'w')
    await compressLayer(source(from), chunk => void writeSync(fd, chunk), { compression: compression as Compression })
    closeSync(fd)
  },

  async unpack(compression, from = '', to = '') {
    const bytes = createReadStream(from, { highWaterMark: 1024 * 1024 })
    await unpackTree(decompress(bytes, compression as Compression), { from: imagePath, to })
  },

  /** Trees as layers in a registry. */
  async push(cacheDir = '', to = '', ...trees) {
    const settings = { dataDir: cacheDir, cacheDir, dockerConfig: '/nonexistent', dockerSocket: '', environment: {} }
    await using stores = new Stores(settings, silent)
    const [{ sink }] = await stores.destinations([to], true)
    await inOrder(trees, 4, tree => sink.putLayer(source(tree)))
  },
}

const [name = '', ...args] = process.argv.slice(2)
await tasks[name]?.(...args)
