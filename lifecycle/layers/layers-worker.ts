import { parentPort } from 'node:worker_threads'
import { BlockCompressor } from './compression/block-compressor.ts'
import { TarDigester } from './compression/digester.ts'
import { fingerprintDirectories } from './tree/partial-fingerprint.ts'
import type { LayerTask } from './tasks.ts'

// The program of a worker thread. It carries out tasks in the order in which they arrive, and answers each.
let compressor: BlockCompressor | undefined
const digesters = new Map<number, TarDigester>()

function digesterOf(layer: number): TarDigester {
  const digester = digesters.get(layer) ?? new TarDigester()
  digesters.set(layer, digester)
  return digester
}

parentPort?.on('message', (task: LayerTask) => {
  switch (task.kind) {
    case 'compress':
      compressor ??= new BlockCompressor(task.module)
      parentPort?.postMessage(compressor.compress(task.block, task.into, task.compression))
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
    case 'fingerprint':
      parentPort?.postMessage(tryToFingerprint(task.tree, task.directories))
      break
  }
})

function tryToFingerprint(...[tree, directories]: Parameters<typeof fingerprintDirectories>) {
  try {
    return fingerprintDirectories(tree, directories)
  } catch {
    return undefined
  }
}
