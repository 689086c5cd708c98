import { expect, it } from 'vitest'
import { tarBytes } from '../../lifecycle/stores/archive/tar-bytes.ts'
import { noise } from '../helpers/images.ts'

it('gives blocks that stay as they are: a socket may still be sending one when the next is made', async () => {
  const content = noise(2_500_000)
  const kept: Uint8Array[] = []
  const copied: Uint8Array[] = []
  for await (const block of tarBytes([{ kind: 'bytes', name: 'large', content }])) {
    kept.push(block)
    copied.push(Buffer.from(block))
  }
  expect(Buffer.concat(kept).equals(Buffer.concat(copied))).toBe(true)
})
