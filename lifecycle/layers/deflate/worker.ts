import { parentPort, workerData } from 'node:worker_threads'
import { instantiate } from './index.ts'
import type { Block } from '../blocks.ts'

// A thread of the pool: blocks come in, compressed blocks go out, in the same order.
const deflate = instantiate(workerData as WebAssembly.Module)

parentPort?.on('message', (block: Block) => {
  const compressed = deflate(block)
  parentPort?.postMessage({ compressed, block }, [compressed.buffer, block.buffer])
})
