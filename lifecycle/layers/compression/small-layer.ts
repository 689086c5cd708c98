import { Readable } from 'node:stream'
import type { LayerDigests, LayerSource } from '../../image/layer.ts'
import { type CompressOptions, compressLayer } from './compress.ts'

/** In bytes of the tar. Most layers of metadata are smaller: launcher, configuration, processes, bills of materials. */
const limit = 256 * 1024

export interface SmallLayer {
  readonly digests: LayerDigests
  readonly bytes: Uint8Array
}

/** Makes a small layer in memory. Undefined for a larger one, whose tar is read no further than the limit. */
export async function makeSmallLayer(
  source: LayerSource,
  options: CompressOptions = {},
): Promise<SmallLayer | undefined> {
  const tar: Uint8Array[] = []
  let size = 0
  for await (const chunk of source.tar(options.signal)) {
    size += chunk.length
    if (size > limit) return undefined
    tar.push(Uint8Array.from(chunk))
  }
  const pieces: Uint8Array[] = []
  const digests = await compressLayer(
    { ...source, tar: () => Readable.from(tar) },
    chunk => void pieces.push(Uint8Array.from(chunk)),
    options,
  )
  return { digests, bytes: Buffer.concat(pieces) }
}
