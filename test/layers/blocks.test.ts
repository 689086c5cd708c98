import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { LayerKeeper } from '../../lifecycle/image/layer.ts'
import { type Block, maxBlock } from '../../lifecycle/layers/block.ts'
import { type Crew, type Piece, compressBlocks, smallLayer } from '../../lifecycle/layers/blocks.ts'
import { TarDigester } from '../../lifecycle/layers/digester.ts'
import { failureOf } from '../helpers/failure.ts'
import { streamOf } from '../helpers/tar.ts'

const bytes = Buffer.from(Array.from({ length: 20 * maxBlock + 5 }, (_, i) => i / maxBlock))

function put(text: string, into: Uint8Array): number {
  into.set(Buffer.from(text))
  return text.length
}

/** Takes its time, another for each block; counts how many are under way. */
function slow(width: number): Crew & { most: number; released: number; compressed: number } {
  let underWay = 0
  const digester = new TarDigester()
  return {
    width,
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
  it.each([1, 2, 7, 100])('keeps the order with %i under way, and never has more', async width => {
    const crew = slow(width)
    const { text, end } = await all(compressBlocks(streamOf(bytes, 100_000), () => crew))
    expect(text).toBe(expected)
    expect(end).toEqual(sumOf(bytes))
    expect(crew.most).toBeLessThanOrEqual(width)
    expect(crew.released).toBe(1)
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
    const crew = slow(6)
    const compress = crew.compress.bind(crew)
    crew.compress = (...args) => (++count > 3 ? Promise.reject(new Error(`block ${count}`)) : compress(...args))
    expect(await failureOf(all(compressBlocks(streamOf(bytes), () => crew)))).toEqual(new Error('block 4'))
    expect(crew.released).toBe(1)
  })

  it('lets go of the layer when nobody wants more of it', async () => {
    const crew = slow(3)
    for await (const piece of compressBlocks(streamOf(bytes), () => crew)) if (piece.bytes.length > 0) break
    expect(crew.released).toBe(1)
  })

  it('does not compress what the keeper has, digests it all the same, and says which block a piece is of', async () => {
    const keeper: Pick<LayerKeeper, 'keyOf' | 'find'> = {
      keyOf: block => `key ${block[0]}`,
      find: (key, into) => (key === 'key 7' ? put('known ', into) : undefined),
    }
    const crew = slow(4)
    const { text, found, end } = await all(compressBlocks(streamOf(bytes), () => crew, keeper as LayerKeeper))
    expect(text).toBe(expected.replace(`7:${maxBlock} `, 'known '))
    expect(crew.compressed).toBe(20)
    expect(end).toEqual(sumOf(bytes))
    // Five bytes are not worth a key.
    expect(found.map(piece => piece.key)).toEqual([...Array.from({ length: 20 }, (_, i) => `key ${i}`), undefined])
  })
})
