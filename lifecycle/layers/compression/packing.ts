import type { Compression } from '../../image/media-types.ts'

/** How a store compresses new layers. Layers of other stores keep their bytes. */
export interface Packing {
  /** gzip by default. */
  readonly compression?: Compression | undefined
  /** In the range of the compression: a higher one takes longer and makes smaller layers. 1 by default, the fastest that compresses. */
  readonly level?: number | undefined
}

/** The level of every layer that has no other one. */
export const defaultLevel = 1

/** The levels of zlib and of zstd. */
export const levels = { gzip: { least: 0, most: 9 }, zstd: { least: 1, most: 22 } } as const
