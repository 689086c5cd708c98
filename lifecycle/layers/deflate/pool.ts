import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { BaleError } from '../../errors.ts'
import { type Block, type BlockCompressor, type Compressed, compressBlocks } from '../blocks.ts'
import { type Recipe, blockFunction } from './compressor.ts'
import { companion, deflateModule } from './index.ts'

// More threads than this wait for the one that reads and hashes.
const maxThreads = 6

/** So many blocks of a layer are compressed in place: most layers are small, and threads take longer to start. */
const inlineBlocks = 4

let inline: Promise<ReturnType<typeof blockFunction>> | undefined
let pool: Promise<readonly Thread[]> | undefined

/** Compresses in blocks, on all processors where it pays: the same bytes with any number of threads. */
export function inParallel(tar: AsyncIterable<Uint8Array>, recipe: Recipe): AsyncGenerator<Uint8Array> {
  return compressBlocks(tar, index => (index < inlineBlocks ? callingThread(recipe) : workerThreads(recipe)))
}

/** The calling thread itself. */
export async function callingThread(recipe: Recipe): Promise<BlockCompressor> {
  const compress = await (inline ??= deflateModule().then(blockFunction))
  return { width: 1, compress: block => Promise.resolve({ compressed: compress(block, recipe), block }) }
}

/** The threads of this process, started when first asked for; they do not keep the process alive. */
export async function workerThreads(recipe: Recipe): Promise<BlockCompressor> {
  const threads = await (pool ??= start(Math.min(availableParallelism(), maxThreads)))
  return {
    width: 2 * threads.length,
    compress: block => threads.reduce((a, b) => (b.load < a.load ? b : a)).compress(block, recipe),
  }
}

async function start(count: number): Promise<readonly Thread[]> {
  const module = await deflateModule()
  // As the sources have it, or as scripts/build-deflate.mjs calls it in a bundle.
  const program = companion(import.meta.url.endsWith('.ts') ? 'worker.ts' : 'deflate-worker.mjs')
  return Array.from({ length: count }, () => new Thread(program, module))
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

  compress(block: Block, recipe: Recipe): Promise<Compressed> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#worker.ref()
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage({ block, recipe }, [block.buffer])
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
