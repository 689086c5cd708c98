import { BaleError } from '../../errors.ts'
import type { Block } from '../block.ts'
import type { TarSummary } from '../blocks.ts'
import type { ByteString } from '../bytes.ts'
import type { Look } from '../look.ts'
import { maxThreads, startThread } from './start.ts'

/** Those of this process. */
const threads: Thread[] = []

export type Task =
  | { readonly kind: 'gzip'; readonly module: WebAssembly.Module; readonly block: Block; readonly into: Block }
  | { readonly kind: 'zstd'; readonly block: Block; readonly into: Block }
  | { readonly kind: 'digest'; readonly layer: number; readonly block: Block }
  | { readonly kind: 'summary' | 'release'; readonly layer: number }
  | { readonly kind: 'look'; readonly tree: string; readonly directories: readonly ByteString[] }

interface Answers {
  gzip: number
  zstd: number
  digest: void
  summary: TarSummary
  release: void
  /** Undefined as well if they cannot be looked at. */
  look: Look | undefined
}

/** The thread with the least to do; one is started when all others have work. */
export function idlestThread(): Thread {
  const found = threads.reduce<Thread | undefined>((a, b) => (a === undefined || b.load < a.load ? b : a), undefined)
  if (found !== undefined && (found.load === 0 || threads.length === maxThreads)) return found
  const thread = new Thread()
  threads.push(thread)
  return thread
}

/** One thread (worker.ts). It answers in order, and keeps the process alive while it has work. */
export class Thread {
  readonly #worker = startThread(import.meta.url, 'layers')
  #failure: Error | undefined
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = []

  constructor() {
    this.#worker.on('message', (answer: unknown) => {
      this.#waiting.shift()?.resolve(answer)
      if (this.#waiting.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', error => this.#fail(error as Error))
    this.#worker.on('exit', code => this.#fail(new Error(`a thread ended with ${code}`)))
  }

  get load(): number {
    return this.#waiting.length
  }

  do<T extends Task>(task: T): Promise<Answers[T['kind']]> {
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
