import type { Stats } from 'node:fs'
import { BaleError } from '../../errors.ts'

/** The size limit in bytes for a file that is mostly holes. Every byte of a layer is read, hashed, compressed and unpacked again. */
const largestSparse = 16 * 2 ** 30

/**
 * Refuses a large sparse file: it costs nothing to make and takes hours to put into a layer (S12, X47: 1 TB of zeros).
 * @throws BaleError 'input' with its size and the limit
 */
export function checkHoles({ size, blocks }: Pick<Stats, 'size' | 'blocks'>, where: string): void {
  // `blocks` counts 512 bytes each (stat(2)). A file system that compresses uses fewer for an ordinary file, too.
  if (size <= largestSparse || blocks * 512 * 8 > size) return
  throw new BaleError(
    'input',
    `it has ${size} bytes, nearly all of them holes; the limit for such a file is ${largestSparse}`,
    {
      where,
      fix: 'remove it, or give it the size that it needs',
    },
  )
}
