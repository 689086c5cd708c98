import { parentPort } from 'node:worker_threads'
import { type Deflate, instantiate } from '../deflate/index.ts'
import { TarDigester } from '../digester.ts'
import { lookAt } from '../look.ts'
import { zstdFrame } from '../zstd.ts'
import type { Task } from './tasks.ts'

// A thread: it does what it is told in the order in which it is told, and answers each task.
let deflate: Deflate | undefined
const digesters = new Map<number, TarDigester>()

function digesterOf(layer: number): TarDigester {
  const digester = digesters.get(layer) ?? new TarDigester()
  digesters.set(layer, digester)
  return digester
}

parentPort?.on('message', (task: Task) => {
  switch (task.kind) {
    case 'gzip':
      deflate ??= instantiate(task.module)
      parentPort?.postMessage(deflate(task.block, task.into))
      break
    case 'zstd':
      parentPort?.postMessage(zstdFrame(task.block, task.into))
      break
    case 'digest':
      digesterOf(task.layer).update(task.block)
      parentPort?.postMessage(undefined)
      break
    case 'summary':
      parentPort?.postMessage(digesterOf(task.layer).summary())
      break
    case 'release':
      digesters.delete(task.layer)
      parentPort?.postMessage(undefined)
      break
    case 'look':
      parentPort?.postMessage(tryToLook(task.tree, task.directories))
      break
  }
})

function tryToLook(...[tree, directories]: Parameters<typeof lookAt>) {
  try {
    return lookAt(tree, directories)
  } catch {
    return undefined
  }
}
