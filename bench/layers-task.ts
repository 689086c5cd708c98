// One task of bench/layers.ts, bundled and run as a process of its own; prints its peak memory in megabytes.
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import type { Compression } from '../lifecycle/image/media-types.ts'
import { compressLayer } from '../lifecycle/layers/compress.ts'
import { decompress } from '../lifecycle/layers/decompress.ts'
import { layerSource } from '../lifecycle/layers/pack.ts'
import { unpackTree } from '../lifecycle/layers/unpack.ts'

const [task, compression, from, to] = process.argv.slice(2) as ['pack' | 'unpack', Compression, string, string]
const imagePath = '/layers/bench/tree'

if (task === 'pack') {
  const fd = openSync(to, 'w')
  const source = layerSource('bench', [{ kind: 'tree', hostPath: from, imagePath, uid: 1000, gid: 1000 }])
  await compressLayer(source, chunk => void writeSync(fd, chunk), { compression })
  closeSync(fd)
} else {
  const bytes = createReadStream(from, { highWaterMark: 1024 * 1024 })
  await unpackTree(decompress(bytes, compression), { from: imagePath, to })
}
console.log(Math.round(process.resourceUsage().maxRSS / 1024))
