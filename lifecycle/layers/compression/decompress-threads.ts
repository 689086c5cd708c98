import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { BaleError } from '../../errors.ts'
import type { Compression } from '../../image/media-types.ts'
import { maxWorkers, startWorker } from '../workers/pool.ts'
import { Broken, type Sent, receiveBytes, sendBytes } from '../workers/byte-channel.ts'
import type { DecodeOptions } from './decode.ts'

/** A layer to decompress. */
export interface Job {
  readonly compression: Compression
  readonly options: DecodeOptions
  readonly from: MessagePort
  readonly to: MessagePort
}

/** The most blocks of about 1 MiB in flight to a thread. */
const mostIn = 2

/** The threads of this process. */
const threads = new Set<Thread>()

/**
 * Returns an idle thread, or undefined if the maximum number of threads is busy. A thread counts as busy while it decodes.
 */
export function freeThread(): Thread | undefined {
  const free = [...threads].find(thread => !thread.busy)
  return free ?? (threads.size < maxWorkers ? new Thread() : undefined)
}

/** One thread (worker.ts). It keeps the process alive while a caller waits for its bytes. */
class Thread {
  busy = false
  readonly #worker = startWorker(import.meta.url, 'decompress')
  /** The reason why it ended. */
  readonly #end: Promise<Error>

  constructor() {
    this.#end = new Promise(resolve => {
      this.#worker.on('error', error => resolve(error as Error))
      this.#worker.on('exit', code => resolve(new Error(`a decompressing thread ended with ${code}`)))
    })
    threads.add(this)
    void this.#end.then(() => threads.delete(this))
  }

  /** See decode.ts. Errors of the input pass through unchanged. */
  async *decode(
    bytes: AsyncIterable<Uint8Array>,
    compression: Compression,
    options: DecodeOptions,
  ): AsyncGenerator<Uint8Array> {
    this.busy = true
    const [input, output] = [new MessageChannel(), new MessageChannel()]
    const job: Job = { compression, options, from: input.port2, to: output.port2 }
    this.#worker.postMessage(job, [input.port2, output.port2])
    let sent: Sent | undefined
    void sendBytes(input.port1, bytes, mostIn).then(end => (sent = end))
    try {
      yield* receiveBytes(output.port1)
    } catch (error) {
      if (sent?.state === 'failed') throw sent.failure
      throw error instanceof Broken ? await this.#stopped() : error
    } finally {
      // Otherwise blocks are still coming back, and the worker closes the port.
      if (sent === undefined) input.port1.close()
      this.busy = false
    }
  }

  async #stopped(): Promise<BaleError> {
    this.#worker.ref()
    const cause = await this.#end
    return new BaleError('failed', `the decompressor stopped: ${cause.message}`, {
      fix: 'install Bale again if this happens again',
      cause,
    })
  }
}
