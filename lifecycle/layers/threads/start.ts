import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { companion } from '../companion.ts'

// More threads than six wait for the one that reads.
export const maxThreads = Math.min(availableParallelism(), 6)

/**
 * A thread that runs a program of ours, and does not keep the process alive.
 * @param url of the module that asks, beside which `worker.ts` is; a bundle has it as scripts/build-deflate.mjs calls it
 */
export function startThread(url: string, name: 'layers' | 'decompress'): Worker {
  const program = companion(url, url.endsWith('.ts') ? 'worker.ts' : `${name}-worker.cjs`)
  // No flags and no environment of the parent's: a loader or an inspector has no business here. Little that lives long is on
  // a thread's heap, and there may be twelve.
  const resourceLimits = { maxYoungGenerationSizeMb: 4 }
  const worker = new Worker(program, { execArgv: [], env: {}, name, resourceLimits })
  worker.unref()
  return worker
}
