import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { verified } from '../../lifecycle/layers/compression/verify.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'

const bytes = Buffer.from('some bytes')
const digest = digestOf(bytes)

describe('verified', () => {
  it('passes the right bytes on', async () => {
    expect((await bytesOf(verified(streamOf(bytes, 3), { digest, size: 10 }))).toString()).toBe('some bytes')
    expect(await bytesOf(verified(streamOf(bytes), { digest }))).toHaveLength(10)
    expect(await bytesOf(verified(streamOf(Buffer.alloc(0)), { digest: digestOf(''), size: 0 }))).toHaveLength(0)
  })

  it('R01 refuses another digest, and names both', async () => {
    const other = digestOf('other')
    expect(await failureOf(bytesOf(verified(streamOf(bytes), { digest: other })))).toMatchObject({
      code: 'input',
      message: `the bytes of ${other} are wrong: their digest is ${digest}`,
    })
  })

  it('R02 R03 refuses fewer bytes', async () => {
    const short = verified(streamOf(bytes.subarray(1)), { digest, size: 10 })
    expect(await failureOf(bytesOf(short))).toMatchObject({
      message: `the bytes of ${digest} are wrong: there are 9, not 10`,
    })
  })

  it('R04 refuses more bytes at once, though they never end', async () => {
    let pulled = 0
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(Buffer.alloc(++pulled && 4))
    }
    expect(await failureOf(bytesOf(verified(endless(), { digest, size: 10 })))).toMatchObject({
      message: `the bytes of ${digest} are wrong: there are more than 10`,
    })
    expect(pulled).toBe(3)
  })
})
