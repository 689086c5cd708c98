import type { ByteString } from '../files/byte-string.ts'
import type { BlockCompression } from './compression/block-compressor.ts'
import type { TarSummary } from './compression/blocks.ts'
import type { PartialFingerprint } from './tree/partial-fingerprint.ts'
import type { Block } from './workers/block-buffers.ts'
import { type PooledWorker, WorkerPool } from './workers/pool.ts'

/** The tasks of worker threads for layers. `layers-worker.ts` executes them. */
export type LayerTask =
  | {
      readonly kind: 'compress'
      readonly compression: BlockCompression
      readonly module: WebAssembly.Module
      readonly block: Block
      readonly into: Block
    }
  | { readonly kind: 'digest'; readonly layer: number; readonly block: Block }
  | { readonly kind: 'summary' | 'release'; readonly layer: number }
  | { readonly kind: 'fingerprint'; readonly tree: string; readonly directories: readonly ByteString[] }

interface Answers {
  /** Bytes written to `into`. */
  compress: number
  digest: void
  summary: TarSummary
  release: void
  /** Also undefined if the directories cannot be read. */
  fingerprint: PartialFingerprint | undefined
}

export type LayerWorker = PooledWorker<LayerTask, Answers>

/** The workers of this process. */
export const layerWorkers = new WorkerPool<LayerTask, Answers>(import.meta.url, 'layers')
