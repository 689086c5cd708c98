import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { companion, deflateModule, instantiate } from './index.ts'

export type Block = Uint8Array<ArrayBuffer>

/** A block compressed by itself, and its memory, to be used again. */
export interface Deflated {
  readonly compressed: Block
  readonly block: Block
}

export interface DeflatePool {
  /** How many blocks may usefully be under way at once. */
  readonly width: number
  /** Takes the block over: until it comes back, it must not be touched. */
  deflate(block: Block): Promise<Deflated>
}

// More threads than this wait for the one that reads and hashes.
const maxThreads = 6

let shared: Promise<DeflatePool> | undefined

/** The threads of this process, started when first asked for; they do not keep the process alive. */
export function threadPool(): Promise<DeflatePool> {
  return (shared ??= start(Math.min(availableParallelism(), maxThreads)))
}

/** The calling thread alone: for layers so small that starting a thread costs more than it saves. */
export async function inlinePool(): Promise<DeflatePool> {
  const deflate = instantiate(await deflateModule())
  return { width: 1, deflate: block => Promise.resolve({ compressed: deflate(block), block }) }
}

async function start(count: number): Promise<DeflatePool> {
  const module = await deflateModule()
  // As the sources have it, or as scripts/build-deflate.mjs calls it in a bundle.
  const program = companion(import.meta.url.endsWith('.ts') ? 'worker.ts' : 'deflate-worker.mjs')
  const threads = Array.from({ length: count }, () => new Thread(program, module))
  return {
    width: 2 * count,
    deflate: block => threads.reduce((a, b) => (b.load < a.load ? b : a)).deflate(block),
  }
}

/** One worker; it answers in order, so the oldest waiter is the one answered. */
class Thread {
  readonly #worker: Worker
  #failure: Error | undefined
  readonly #waiting: { resolve(deflated: Deflated): void; reject(error: Error): void }[] = []

  constructor(program: URL, module: WebAssembly.Module) {
    // No flags and no environment of the parent's: a loader or an inspector has no business here.
    this.#worker = new Worker(program, { workerData: module, execArgv: [], env: {}, name: 'deflate' })
    this.#worker.unref()
    this.#worker.on('message', (deflated: Deflated) => {
      this.#waiting.shift()?.resolve(deflated)
      if (this.#waiting.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', error => this.#fail(error as Error))
    this.#worker.on('exit', code => this.#fail(new Error(`a compressing thread ended with ${code}`)))
  }

  get load(): number {
    return this.#waiting.length
  }

  deflate(block: Block): Promise<Deflated> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#worker.ref()
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(block, [block.buffer])
    })
  }

  #fail(error: Error): void {
    this.#failure ??= error
    shared = undefined // the next layer starts afresh
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure)
  }
}
