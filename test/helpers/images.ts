import { createCipheriv, createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import type { ImageConfig } from '../../lifecycle/image/config.ts'
import { type Digest, digestOf } from '../../lifecycle/image/digest.ts'
import type { Layer, LayerSource } from '../../lifecycle/image/layer.ts'
import { type Compression, compressionOf, layerMediaType } from '../../lifecycle/image/media-types.ts'

/** A tree as a literal: the path and text (or bytes) of each file. */
export type Files = Readonly<Record<string, string | Uint8Array>>

/** The tar of a tree, the same bytes each time. */
export async function tarOf(files: Files): Promise<Uint8Array> {
  const tar = pack()
  for (const [path, content] of Object.entries(files)) {
    tar.entry({ name: path.replace(/^\//, ''), mode: 0o644, mtime: new Date(315_532_801_000) }, Buffer.from(content))
  }
  tar.finalize()
  return bytesOf(tar as AsyncIterable<Uint8Array>)
}

/** A source with that tree, which counts how often it is read. `piece` is the size of its chunks. */
export function sourceOf(files: Files, { createdBy = 'test', piece = 300 } = {}): LayerSource & { reads: number } {
  return {
    kind: 'source',
    createdBy,
    reads: 0,
    async *tar() {
      this.reads++
      yield* pieces(await tarOf(files), piece)
    },
  }
}

/** A layer as some other store would hold it. */
export async function layerOf(files: Files, compression: Compression = 'gzip'): Promise<Layer> {
  const tar = await tarOf(files)
  const blob = { none: () => tar, gzip: () => gzipSync(tar), zstd: () => zstdCompressSync(tar) }[compression]()
  return {
    kind: 'layer',
    diffId: digestOf(tar),
    digest: digestOf(blob),
    size: blob.length,
    mediaType: layerMediaType(compression),
    open: () => pieces(blob, 1000),
  }
}

/** The layer, with bytes that do not match its digest. */
export function withBytes(layer: Layer, bytes: Uint8Array): Layer {
  return { ...layer, open: () => pieces(bytes, 1000) }
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(Buffer.from(chunk))
  return Buffer.concat(all)
}

export function uncompressed(bytes: Uint8Array, mediaType: string): Uint8Array {
  const compression = compressionOf(mediaType)
  if (compression === 'gzip') return gunzipSync(bytes)
  if (compression === 'zstd') return zstdDecompressSync(bytes)
  return bytes
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed = 'bale'): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

export const platform = { os: 'linux', architecture: 'amd64' }

/** A config as phases would make it; `makeImage` puts in the diff_ids. */
export function configOf(rest: Partial<ImageConfig> = {}): ImageConfig {
  const none: readonly Digest[] = []
  return {
    ...platform,
    config: { Env: ['PATH=/bin'], Labels: {} },
    rootfs: { type: 'layers', diff_ids: none },
    ...rest,
  }
}

/** The bytes in chunks, each in a separate turn of the event loop, as from a file or a socket. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await setImmediate()
    yield bytes.subarray(at, at + size)
  }
}
