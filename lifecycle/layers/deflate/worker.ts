import { parentPort, workerData } from 'node:worker_threads'
import type { Block } from '../blocks.ts'
import { type Recipe, blockFunction } from './compressor.ts'

// A thread of the pool: blocks come in, compressed blocks go out, in the same order.
const compress = blockFunction(workerData as WebAssembly.Module)

parentPort?.on('message', ({ block, recipe }: { block: Block; recipe: Recipe }) => {
  const compressed = compress(block, recipe)
  parentPort?.postMessage({ compressed, block }, [compressed.buffer as ArrayBuffer, block.buffer])
})
