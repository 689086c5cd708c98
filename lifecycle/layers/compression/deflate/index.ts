import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { BaleError } from '../../../errors.ts'
import { type Block, maxBlock } from '../../workers/block-buffers.ts'
import { assetUrl } from '../../workers/asset.ts'

/**
 * Bale's own deflate (RFC 1951), about zlib's level 1, in WebAssembly: bit-exact on every CPU and every Node, which
 * reproducible digests need and node:zlib does not promise. Compresses at most `maxBlock` bytes into other memory, and
 * returns the size of the result. Each block is compressed by itself and ends in a sync flush, so that blocks made in any
 * order, by any number of threads, join into one stream.
 */
export type Deflate = (block: Uint8Array, into: Block) => number

/** Ends a stream of such blocks: an empty final block (fixed codes, end of block). */
export const lastBlock = Uint8Array.of(3, 0)

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly inputPtr: () => number
  readonly outputPtr: () => number
  readonly compress: (length: number) => number
}

let loaded: Promise<{ module: WebAssembly.Module; version: string }> | undefined

export async function deflateModule(): Promise<WebAssembly.Module> {
  return (await (loaded ??= load(assetUrl(import.meta.url, 'deflate.wasm')))).module
}

/** Identifies this compressor by the bytes that it makes. */
export async function deflateVersion(): Promise<string> {
  return (await (loaded ??= load(assetUrl(import.meta.url, 'deflate.wasm')))).version
}

async function load(url: URL): Promise<{ module: WebAssembly.Module; version: string }> {
  try {
    const bytes = await readFile(url)
    const version = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    return { module: await WebAssembly.compile(bytes), version }
  } catch (cause) {
    throw new BaleError('failed', 'the compressor (deflate.wasm) cannot be loaded', {
      where: fileURLToPath(url),
      fix: 'in a checkout, run `node scripts/build-deflate.mjs`; otherwise install Bale again',
      cause,
    })
  }
}

export function instantiate(module: WebAssembly.Module): Deflate {
  const abort = (): never => {
    throw new Error('deflate.wasm aborted')
  }
  const { memory, inputPtr, outputPtr, compress } = new WebAssembly.Instance(module, { env: { abort } })
    .exports as Exports
  const bytes = new Uint8Array(memory.buffer)
  const input = inputPtr()
  const output = outputPtr()
  return (block, into) => {
    if (block.length > maxBlock) throw new RangeError(`a block of ${block.length} bytes; at most ${maxBlock} fit`)
    bytes.set(block, input)
    const length = compress(block.length)
    into.set(bytes.subarray(output, output + length))
    return length
  }
}
