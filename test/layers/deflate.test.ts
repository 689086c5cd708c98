import { inflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { maxBlock, blockBuffers } from '../../lifecycle/layers/workers/block-buffers.ts'
import { deflateModule, instantiate, lastBlock } from '../../lifecycle/layers/compression/deflate/index.ts'

const module = instantiate(await deflateModule())

function deflate(block: Buffer): Buffer {
  const into = blockBuffers.take()
  const compressed = Buffer.from(into.subarray(0, module(block, into)))
  blockBuffers.put(into)
  return compressed
}

/** Compresses, checks what every block promises, and returns the result. */
function roundTrip(block: Buffer): Buffer {
  const compressed = deflate(block)
  const inflated = inflateRawSync(Buffer.concat([compressed, lastBlock]))
  expect(inflated.equals(block), `${block.length} bytes come back`).toBe(true)
  expect(compressed.subarray(-4).toString('hex'), 'a sync flush').toBe('0000ffff')
  expect(compressed.length).toBeLessThanOrEqual(block.length + 5 * (Math.ceil(block.length / 65_535) + 9) + 8)
  return compressed
}

/** Numbers below n, the same in every run: a failure can be repeated. */
function randomNumbers(seed: number): (n: number) => number {
  return n => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return (seed >>> 0) % n
  }
}
const random = randomNumbers(12_345)
const noise = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => random(256)))

function shuffled(list: number[]): number[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random(i + 1)
    ;[list[i], list[j]] = [list[j] as number, list[i] as number]
  }
  return list
}

describe('deflate', () => {
  it('brings back blocks of every small length', () => {
    for (let n = 0; n < 70; n++) {
      roundTrip(Buffer.alloc(n))
      roundTrip(noise(n))
      roundTrip(Buffer.from(Array.from({ length: n }, (_, i) => i & 7)))
    }
  })

  it.each([maxBlock, maxBlock - 1, maxBlock - 7, 65_535, 65_536, 131_071, 131_072, 131_073, 131_075])(
    'brings back blocks of %i bytes: constant, periodic at the ends of the window and of a match, and noise',
    n => {
      roundTrip(Buffer.alloc(n, 0xff))
      roundTrip(Buffer.alloc(n, 'abc'))
      for (const period of [258, 259, 32_768, 32_769]) roundTrip(Buffer.alloc(n, noise(period)))
      roundTrip(noise(n))
    },
  )

  it('limits codes to 15 bits: Fibonacci frequencies make the deepest tree', () => {
    for (let symbols = 16; symbols <= 27; symbols++) {
      const counts = [1, 1]
      while (counts.length < symbols) counts.push((counts.at(-1) as number) + (counts.at(-2) as number))
      const list = counts.flatMap((count, s) => Array.from({ length: Math.min(count, maxBlock) }, () => s * 9 + 3))
      roundTrip(Buffer.from(shuffled(list.slice(0, maxBlock))))
      roundTrip(Buffer.from(list.slice(0, maxBlock).sort((a, b) => a - b)))
    }
  })

  it('limits the codes of code lengths to 7 bits', () => {
    // A value that stands there 2ⁿ times gets a code of 15 − n bits: so many values get codes of each length. The numbers
    // grow like Fibonacci's, and without a limit some code lengths would have codes of 9 bits.
    const values = { 6: 23, 7: 68, 8: 5, 9: 35, 10: 7, 11: 5, 12: 1, 13: 97, 14: 1, 15: 1 }
    const lengths = spread(Object.entries(values).map(([length, count]) => ({ item: Number(length), count })))
    const bytes = lengths.flatMap((length, value) => Array.from({ length: 2 ** (15 - length) }, () => value))
    const compressed = roundTrip(Buffer.from(shuffled(bytes)))
    expect(Math.max(...codeLengthCode(compressed))).toBe(7)
    expect(
      codeLengthCode(compressed).reduce((sum, n) => sum + (n === 0 ? 0 : 2 ** -n), 0),
      'a complete code',
    ).toBe(1)
  })

  it('codes distances of any frequency', () => {
    for (let round = 0; round < 5; round++) {
      const block = noise(maxBlock)
      for (let at = 40_000; at + 6 < maxBlock; at += 6 + random(3)) {
        let bits = 14
        while (bits > 2 && random(8) < 3) bits--
        const from = at - Math.min((1 << bits) + random(1 << bits), 32_768)
        block.copyWithin(at, from, from + 6)
      }
      roundTrip(block)
    }
  })

  it('brings back random structures, and gives the same bytes whatever came before', () => {
    const before: [Buffer, Buffer][] = []
    for (let i = 0; i < 300; i++) {
      const block = structure(i % 20 === 0 ? random(maxBlock + 1) : random(20_000))
      const compressed = roundTrip(block)
      if (i % 10 === 0) before.push([block, compressed])
    }
    for (const [block, compressed] of before.reverse()) expect(deflate(block)).toEqual(compressed)
  })

  it('refuses a block that is too long', () => {
    expect(() => deflate(Buffer.alloc(maxBlock + 1))).toThrow(RangeError)
  })

  it('compresses text', () => {
    const text = Buffer.from(
      JSON.stringify(Array.from({ length: 20_000 }, (_, i) => ({ name: `entry-${i}`, value: i * i }))),
    )
    expect(roundTrip(text.subarray(0, maxBlock)).length).toBeLessThan(0.25 * Math.min(text.length, maxBlock))
  })
})

/** Items as often as their counts say, equal ones as far apart as can be: runs would be coded in another way. */
function spread(parts: readonly { item: number; count: number }[]): number[] {
  return parts
    .flatMap(({ item, count }) => Array.from({ length: count }, (_, i) => ({ item, at: (i + 0.5) / count })))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** Literals of a skewed alphabet, copies near and far, runs, noise. */
function structure(length: number): Buffer {
  const block = Buffer.alloc(length)
  const [alphabet, mix, far, long] = [
    1 + random(256),
    random(100),
    1 + random(40_000),
    1 + random(random(3) ? 20 : 600),
  ]
  for (let at = 0; at < length;) {
    if (at > 0 && random(100) < mix) {
      const distance = 1 + random(Math.min(at, far))
      for (let n = 1 + random(long); n > 0 && at < length; n--, at++) block[at] = block[at - distance] as number
    } else if (random(50) === 0) {
      const value = random(256)
      for (let n = random(200); n > 0 && at < length; n--) block[at++] = value
    } else if (random(200) === 0) {
      for (let n = random(5000); n > 0 && at < length; n--) block[at++] = random(256)
    } else {
      block[at++] = Math.min(random(alphabet), random(alphabet))
    }
  }
  return block
}

/** The lengths of the code-length code, from the header of a dynamic block (RFC 1951, 3.2.7). */
function codeLengthCode(deflated: Buffer): number[] {
  let at = 0
  const bits = (n: number): number => {
    let value = 0
    for (let i = 0; i < n; i++, at++) value |= (((deflated[at >> 3] as number) >> (at & 7)) & 1) << i
    return value
  }
  expect(bits(3), 'not final, dynamic').toBe(0b100)
  bits(10)
  return Array.from({ length: bits(4) + 4 }, () => bits(3))
}
