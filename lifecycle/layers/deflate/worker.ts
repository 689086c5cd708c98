import { parentPort, workerData } from 'node:worker_threads'
import { instantiate } from './index.ts'

// A thread of the pool: blocks come in, compressed blocks go out, in the same order.
const deflate = instantiate(workerData as WebAssembly.Module)

parentPort?.on('message', (block: Uint8Array) => {
  const compressed = deflate(block)
  parentPort?.postMessage(compressed, [compressed.buffer])
})
