import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { BaleError } from '../../errors.ts'
import { assetUrl } from './asset.ts'

/** More than six workers would wait for the single reading thread. */
export const maxWorkers = Math.min(availableParallelism(), 6)

/**
 * Starts a worker thread that does not keep the process alive.
 * @param url of the calling module. Its folder holds `NAME-worker.ts`; a bundle holds `NAME-worker.cjs` (scripts/build-deflate.mjs).
 */
export function startWorker(url: string, name: string): Worker {
  const program = assetUrl(url, `${name}-worker.${url.endsWith('.ts') ? 'ts' : 'cjs'}`)
  // The worker gets no flags and no environment of the parent: it needs neither a loader nor an inspector. Its heap holds
  // few long-lived objects, and up to twelve workers run at once.
  const resourceLimits = { maxYoungGenerationSizeMb: 4 }
  const worker = new Worker(program, { execArgv: [], env: {}, name, resourceLimits })
  worker.unref()
  return worker
}

/** Maps each kind of task to the type of its answer. */
type Answers<Task extends { kind: string }> = Record<Task['kind'], unknown>

/**
 * Workers of one kind. Each answers its tasks in the order in which it gets them. The pool grows to `maxWorkers`, and does
 * not depend on the kinds of tasks.
 */
export class WorkerPool<Task extends { kind: string }, A extends Answers<Task>> {
  readonly #workers: PooledWorker<Task, A>[] = []
  readonly #url: string
  readonly #name: string

  /** @param url,name as for `startWorker` */
  constructor(url: string, name: string) {
    this.#url = url
    this.#name = name
  }

  /** Returns the worker with the fewest waiting tasks. Starts another one while all are busy and the limit is not reached. */
  leastBusy(): PooledWorker<Task, A> {
    const workers = this.#workers
    const found = workers.reduce<PooledWorker<Task, A> | undefined>(
      (a, b) => (a === undefined || b.load < a.load ? b : a),
      undefined,
    )
    if (found !== undefined && (found.load === 0 || workers.length === maxWorkers)) return found
    const worker = new PooledWorker<Task, A>(startWorker(this.#url, this.#name), () => {
      const index = workers.indexOf(worker)
      if (index >= 0) workers.splice(index, 1) // the next task starts another one
    })
    workers.push(worker)
    return worker
  }
}

/** One worker of a pool. It keeps the process alive while tasks wait. */
export class PooledWorker<Task extends { kind: string }, A extends Answers<Task>> {
  readonly #worker: Worker
  readonly #onFailure: () => void
  #failure: Error | undefined
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = []

  constructor(worker: Worker, onFailure: () => void) {
    this.#worker = worker
    this.#onFailure = onFailure
    worker.on('message', (answer: unknown) => {
      this.#waiting.shift()?.resolve(answer)
      if (this.#waiting.length === 0) worker.unref()
    })
    worker.on('error', error => this.#fail(error as Error))
    worker.on('exit', code => this.#fail(new Error(`a worker ended with ${code}`)))
  }

  /** How many tasks wait for an answer. */
  get load(): number {
    return this.#waiting.length
  }

  /** @throws BaleError 'failed' if the worker ends before it answers */
  run<T extends Task>(task: T): Promise<A[T['kind']]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#worker.ref()
      this.#waiting.push({ resolve: answer => resolve(answer as A[T['kind']]), reject })
      this.#worker.postMessage(task)
    })
  }

  #fail(error: Error): void {
    this.#failure ??= new BaleError('failed', `a worker thread stopped: ${error.message}`, {
      fix: 'install Bale again if this happens again',
      cause: error,
    })
    this.#onFailure()
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#failure)
  }
}
