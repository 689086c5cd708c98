import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { BaleError } from '../../errors.ts'
import type { LayerKeeper } from '../../image/layer.ts'
import { type Block, type Crew, type Piece, type TarSummary, compressBlocks } from '../blocks.ts'
import { TarDigester } from '../digester.ts'
import { type BlockCompression, blockFunction } from './compressor.ts'
import { companion, deflateModule } from './index.ts'

// More threads than six wait for the one that reads.
const maxThreads = Math.min(availableParallelism(), 6)

let inline: Promise<ReturnType<typeof blockFunction>> | undefined
/** Those of this process; they do not keep it alive. */
const threads: Thread[] = []
let layers = 0

/** Compresses in blocks, on all processors where it pays: the same bytes with any number of threads. */
export function inParallel(
  tar: AsyncIterable<Uint8Array>,
  compression: BlockCompression,
  keeper?: LayerKeeper,
): AsyncGenerator<Piece, TarSummary> {
  return compressBlocks(
    tar,
    size => (size === 'small' ? callingThread(compression) : workerThreads(compression)),
    keeper,
  )
}

/** The calling thread itself. */
export async function callingThread(compression: BlockCompression): Promise<Crew> {
  const compress = await (inline ??= deflateModule().then(blockFunction))
  const digester = new TarDigester()
  return {
    width: 1,
    compress: block => Promise.resolve(compress(block, compression)),
    digest: block => Promise.resolve(digester.update(block)),
    summary: () => Promise.resolve(digester.summary()),
    release: () => {},
  }
}

/** The threads of this process. */
export async function workerThreads(compression: BlockCompression): Promise<Crew> {
  const module = await deflateModule()
  const layer = layers++
  const digester = idlest(module) // a hash is the work of one
  return {
    width: 2 * maxThreads,
    compress: block => idlest(module).do({ kind: 'compress', block, compression }),
    digest: block => digester.do({ kind: 'digest', layer, block }),
    summary: () => digester.do({ kind: 'summary', layer }),
    release: () => void digester.do({ kind: 'release', layer }).catch(() => {}),
  }
}

/** One is started when all others have work. */
function idlest(module: WebAssembly.Module): Thread {
  const found = threads.reduce<Thread | undefined>((a, b) => (a === undefined || b.load < a.load ? b : a), undefined)
  if (found !== undefined && (found.load === 0 || threads.length === maxThreads)) return found
  const thread = new Thread(module)
  threads.push(thread)
  return thread
}

export type Task =
  | { readonly kind: 'compress'; readonly block: Block; readonly compression: BlockCompression }
  | { readonly kind: 'digest'; readonly layer: number; readonly block: Block }
  | { readonly kind: 'summary' | 'release'; readonly layer: number }

interface Answers {
  compress: Uint8Array
  digest: void
  summary: TarSummary
  release: void
}

/** One worker; it answers in order, so the oldest waiter is the one answered. It keeps the process alive while it has work. */
class Thread {
  readonly #worker: Worker
  #failure: Error | undefined
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = []

  constructor(module: WebAssembly.Module) {
    // As the sources have it, or as scripts/build-deflate.mjs calls it in a bundle.
    const program = companion(import.meta.url.endsWith('.ts') ? 'worker.ts' : 'deflate-worker.mjs')
    // No flags and no environment of the parent's: a loader or an inspector has no business here.
    this.#worker = new Worker(program, { workerData: module, execArgv: [], env: {}, name: 'deflate' })
    this.#worker.on('message', (answer: unknown) => {
      this.#waiting.shift()?.resolve(answer)
      if (this.#waiting.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', error => this.#fail(error as Error))
    this.#worker.on('exit', code => this.#fail(new Error(`a compressing thread ended with ${code}`)))
  }

  get load(): number {
    return this.#waiting.length
  }

  do<K extends Task['kind']>(task: Extract<Task, { kind: K }> | (Task & { kind: K })): Promise<Answers[K]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#worker.ref()
      this.#waiting.push({ resolve: resolve, reject })
      this.#worker.postMessage(task)
    })
  }

  #fail(error: Error): void {
    this.#failure ??= new BaleError('failed', `the compressor stopped: ${error.message}`, {
      fix: 'install Bale again if it goes on',
      cause: error,
    })
    const index = threads.indexOf(this)
    if (index >= 0) threads.splice(index, 1) // the next block gets another one
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure)
  }
}
