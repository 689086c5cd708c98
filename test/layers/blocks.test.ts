import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Block, type BlockCompressor, compressBlocks } from '../../lifecycle/layers/blocks.ts'
import { maxBlock } from '../../lifecycle/layers/deflate/index.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'

const bytes = Buffer.from(Array.from({ length: 20 * maxBlock + 5 }, (_, i) => i / maxBlock))

/** Takes its time, another for each block; counts how many are under way. */
function slow(width: number): BlockCompressor & { most: number } {
  let underWay = 0
  let count = 0
  return {
    width,
    most: 0,
    async compress(block: Block) {
      this.most = Math.max(this.most, ++underWay)
      const compressed = Buffer.from(`${block[0]}:${block.length} `)
      await setTimeout(5 * ((count++ * 7) % 5))
      underWay--
      return { compressed, block }
    },
  }
}

const expected = [...Array.from({ length: 20 }, (_, i) => `${i}:${maxBlock} `), '20:5 '].join('')

describe('compressBlocks', () => {
  it.each([1, 2, 7, 100])('keeps the order with %i under way, and never has more', async width => {
    const compressor = slow(width)
    expect((await bytesOf(compressBlocks(streamOf(bytes, 100_000), () => compressor))).toString()).toBe(expected)
    expect(compressor.most).toBe(Math.min(width, 21))
  })

  it('asks for each block who compresses it', async () => {
    const [first, second] = [slow(1), slow(4)]
    const asked: number[] = []
    const choose = (index: number): BlockCompressor => (asked.push(index), index < 3 ? first : second)
    expect((await bytesOf(compressBlocks(streamOf(bytes), choose))).toString()).toBe(expected)
    expect(asked).toEqual(Array.from({ length: 21 }, (_, i) => i))
  })

  it('makes one empty block of nothing, and none after a whole one', async () => {
    expect((await bytesOf(compressBlocks(streamOf(Buffer.alloc(0)), () => slow(1)))).toString()).toBe('undefined:0 ')
    const whole = compressBlocks(streamOf(bytes.subarray(0, maxBlock)), () => slow(1))
    expect((await bytesOf(whole)).toString()).toBe(`0:${maxBlock} `)
  })

  it('throws what a block was refused with, though others were under way', async () => {
    let count = 0
    const failing: BlockCompressor = {
      width: 6,
      compress: block => (++count > 3 ? Promise.reject(new Error(`block ${count}`)) : slow(1).compress(block)),
    }
    expect(await failureOf(bytesOf(compressBlocks(streamOf(bytes), () => failing)))).toEqual(new Error('block 4'))
  })
})
