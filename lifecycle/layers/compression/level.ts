import { BaleError } from '../../errors.ts'
import type { Compression } from '../../image/media-types.ts'

/** How new layers are compressed. */
export interface Packing {
  /** gzip by default. */
  readonly compression?: Compression | undefined
  /** 0 to 9 for gzip, 1 to 22 for zstd: a higher one takes longer and makes smaller layers. 1 by default, the fastest that compresses. */
  readonly level?: number | undefined
}

/** The level of every layer that has no other one. */
export const defaultLevel = 1

const levels = { gzip: { least: 0, most: 9 }, zstd: { least: 1, most: 22 } }

/** @throws BaleError 'usage' for a level that the compression does not have */
export function checkedPacking({ compression = 'gzip', level }: Packing): Packing {
  if (level === undefined) return { compression }
  const where = `--compression-level ${level}`
  if (compression === 'none')
    throw new BaleError('usage', 'layers without compression have no level', {
      where,
      fix: 'leave it out, or write --compression gzip or zstd',
    })
  const { least, most } = levels[compression]
  if (!Number.isInteger(level) || level < least || level > most)
    throw new BaleError('usage', `${compression} has no such level`, {
      where,
      fix: `write a number from ${least} to ${most}`,
    })
  return { compression, level }
}
