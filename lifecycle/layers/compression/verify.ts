import { createHash } from 'node:crypto'
import { BaleError } from '../../errors.ts'
import type { Digest } from '../../image/digest.ts'

/**
 * Passes bytes on and verifies them. Throws at once when there are more than `size`, and at the end when there are fewer or
 * the hash differs. Do not trust the bytes before this has ended without an error.
 * @throws BaleError 'input', which names the digest
 */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  expected: { digest: Digest; size?: number },
): AsyncGenerator<Uint8Array> {
  const wrong = (why: string): BaleError => new BaleError('input', `the bytes of ${expected.digest} are wrong: ${why}`)
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.length
    if (expected.size !== undefined && size > expected.size) throw wrong(`there are more than ${expected.size}`)
    hash.update(chunk)
    yield chunk
  }
  if (expected.size !== undefined && size < expected.size) throw wrong(`there are ${size}, not ${expected.size}`)
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== expected.digest) throw wrong(`their digest is ${actual}`)
}
