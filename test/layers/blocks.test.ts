import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ChunkRecorder } from '../../lifecycle/image/layer.ts'
import { type Block, maxBlock } from '../../lifecycle/layers/workers/block-buffers.ts'
import {
  type CompressionPool,
  type Piece,
  compressBlocks,
  smallLayer,
} from '../../lifecycle/layers/compression/blocks.ts'
import { TarDigester } from '../../lifecycle/layers/compression/digester.ts'
import { failureOf } from '../helpers/failure.ts'
import { streamOf } from '../helpers/tar.ts'

const bytes = Buffer.from(Array.from({ length: 20 * maxBlock + 5 }, (_, i) => i / maxBlock))

function put(text: string, into: Uint8Array): number {
  into.set(Buffer.from(text))
  return text.length
}

/** Takes its time, another for each block; counts how many are under way. */
function slow(concurrency: number): CompressionPool & { most: number; released: number; compressed: number } {
  let underWay = 0
  const digester = new TarDigester()
  return {
    concurrency,
    most: 0,
    released: 0,
    compressed: 0,
    async compress(block: Block, into: Block) {
      this.most = Math.max(this.most, ++underWay)
      const text = `${block[0]}:${block.length} `
      await setTimeout(5 * ((this.compressed++ * 7) % 5))
      underWay--
      return put(text, into)
    },
    async digest(block) {
      await setTimeout(1)
      digester.update(block)
    },
    summary: () => Promise.resolve(digester.summary()),
    release() {
      this.released++
    },
  }
}

/** All that comes, and what is said at the end. */
async function all(pieces: ReturnType<typeof compressBlocks>) {
  const found: Piece[] = []
  let text = ''
  for (;;) {
    const next = await pieces.next()
    if (next.done === true) return { text, found, end: next.value }
    found.push(next.value)
    text += Buffer.from(next.value.bytes).toString()
    next.value.bytes.fill(0) // whoever gets this memory next writes there
    next.value.done?.()
  }
}

const expected = [...Array.from({ length: 20 }, (_, i) => `${i}:${maxBlock} `), '20:5 '].join('')
const sumOf = (content: Uint8Array) => {
  const digester = new TarDigester()
  digester.update(content)
  return digester.summary()
}

describe('compressBlocks', () => {
  it.each([1, 2, 7, 100])('keeps the order with %i under way, and never has more', async concurrency => {
    const pool = slow(concurrency)
    const { text, end } = await all(compressBlocks(streamOf(bytes, 100_000), () => pool))
    expect(text).toBe(expected)
    expect(end).toEqual(sumOf(bytes))
    expect(pool.most).toBeLessThanOrEqual(concurrency)
    expect(pool.released).toBe(1)
  })

  it.each([
    [smallLayer, 'small'],
    [smallLayer + 1, 'large'],
  ])('%i blocks are a %s layer, whoever works on those', async (blocks, size) => {
    const asked: string[] = []
    const content = bytes.subarray(0, blocks * maxBlock)
    await all(compressBlocks(streamOf(content), which => (asked.push(which), slow(2))))
    expect(asked).toEqual([size])
  })

  it('makes one empty block of nothing, and none after a whole one', async () => {
    expect((await all(compressBlocks(streamOf(Buffer.alloc(0)), () => slow(1)))).text).toBe('undefined:0 ')
    const whole = compressBlocks(streamOf(bytes.subarray(0, maxBlock)), () => slow(1))
    expect((await all(whole)).text).toBe(`0:${maxBlock} `)
  })

  it('throws what a block was refused with, though others were under way', async () => {
    let count = 0
    const pool = slow(6)
    const compress = pool.compress.bind(pool)
    pool.compress = (...args) => (++count > 3 ? Promise.reject(new Error(`block ${count}`)) : compress(...args))
    expect(await failureOf(all(compressBlocks(streamOf(bytes), () => pool)))).toEqual(new Error('block 4'))
    expect(pool.released).toBe(1)
  })

  it('lets go of the layer when nobody wants more of it', async () => {
    const pool = slow(3)
    for await (const piece of compressBlocks(streamOf(bytes), () => pool)) if (piece.bytes.length > 0) break
    expect(pool.released).toBe(1)
  })

  it('does not compress what the recorder has, digests it all the same, and says which block a piece is of', async () => {
    const recorder: Pick<ChunkRecorder, 'keyOf' | 'find'> = {
      keyOf: block => `key ${block[0]}`,
      find: (key, into) => (key === 'key 7' ? put('known ', into) : undefined),
    }
    const pool = slow(4)
    const { text, found, end } = await all(compressBlocks(streamOf(bytes), () => pool, recorder as ChunkRecorder))
    expect(text).toBe(expected.replace(`7:${maxBlock} `, 'known '))
    expect(pool.compressed).toBe(20)
    expect(end).toEqual(sumOf(bytes))
    // Five bytes are not worth a key.
    expect(found.map(piece => piece.key)).toEqual([...Array.from({ length: 20 }, (_, i) => `key ${i}`), undefined])
  })
})
