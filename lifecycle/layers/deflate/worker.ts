import { parentPort, workerData } from 'node:worker_threads'
import { instantiate } from './index.ts'
import type { Block, Deflated } from './pool.ts'

// A thread of the pool: blocks come in, compressed blocks go out, in the same order.
const deflate = instantiate(workerData as WebAssembly.Module)

parentPort?.on('message', (block: Block) => {
  const deflated: Deflated = { compressed: deflate(block), block }
  parentPort?.postMessage(deflated, [deflated.compressed.buffer, block.buffer])
})
