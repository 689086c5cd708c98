import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { BaleError } from '../../errors.ts'
import type { Block, BlockCompressor, Compressed } from '../blocks.ts'
import { companion, deflateModule, instantiate } from './index.ts'

// More threads than this wait for the one that reads and hashes.
const maxThreads = 6

let inline: Promise<BlockCompressor> | undefined
let pool: Promise<BlockCompressor> | undefined

/** The calling thread itself. */
export function callingThread(): Promise<BlockCompressor> {
  return (inline ??= deflateModule().then(module => {
    const deflate = instantiate(module)
    return { width: 1, compress: block => Promise.resolve({ compressed: deflate(block), block }) }
  }))
}

/** The threads of this process, started when first asked for; they do not keep the process alive. */
export function workerThreads(): Promise<BlockCompressor> {
  return (pool ??= start(Math.min(availableParallelism(), maxThreads)))
}

async function start(count: number): Promise<BlockCompressor> {
  const module = await deflateModule()
  // As the sources have it, or as scripts/build-deflate.mjs calls it in a bundle.
  const program = companion(import.meta.url.endsWith('.ts') ? 'worker.ts' : 'deflate-worker.mjs')
  const workers = Array.from({ length: count }, () => new Thread(program, module))
  return {
    width: 2 * count,
    compress: block => workers.reduce((a, b) => (b.load < a.load ? b : a)).compress(block),
  }
}

/** One worker; it answers in order, so the oldest waiter is the one answered. */
class Thread {
  readonly #worker: Worker
  #failure: Error | undefined
  readonly #waiting: { resolve(compressed: Compressed): void; reject(error: Error): void }[] = []

  constructor(program: URL, module: WebAssembly.Module) {
    // No flags and no environment of the parent's: a loader or an inspector has no business here.
    this.#worker = new Worker(program, { workerData: module, execArgv: [], env: {}, name: 'deflate' })
    this.#worker.unref()
    this.#worker.on('message', (compressed: Compressed) => {
      this.#waiting.shift()?.resolve(compressed)
      if (this.#waiting.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', error => this.#fail(error as Error))
    this.#worker.on('exit', code => this.#fail(new Error(`a compressing thread ended with ${code}`)))
  }

  get load(): number {
    return this.#waiting.length
  }

  compress(block: Block): Promise<Compressed> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#worker.ref()
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(block, [block.buffer])
    })
  }

  #fail(error: Error): void {
    this.#failure ??= new BaleError('failed', `the compressor stopped: ${error.message}`, {
      fix: 'install Bale again if it goes on',
      cause: error,
    })
    pool = undefined // the next layer starts afresh
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure)
  }
}
