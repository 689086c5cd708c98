import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { LayerDigests, LayerSource } from '../../lifecycle/image/layer.ts'
import { type Compression, oci } from '../../lifecycle/image/media-types.ts'
import { compressBlocks } from '../../lifecycle/layers/compression/blocks.ts'
import { compressLayer, layerFormat } from '../../lifecycle/layers/compression/compress.ts'
import { decompress } from '../../lifecycle/layers/compression/decompress.ts'
import { threadedPool, inlinePool } from '../../lifecycle/layers/compression/pool.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const source = (bytes: Uint8Array, piece?: number): LayerSource => ({
  kind: 'source',
  createdBy: 'test',
  tar: () => streamOf(bytes, piece),
})

async function compress(
  bytes: Uint8Array,
  compression: Compression,
  piece?: number,
  level?: number,
): Promise<LayerDigests & { stored: Buffer }> {
  const chunks: Uint8Array[] = []
  const digests = await compressLayer(source(bytes, piece), chunk => void chunks.push(Buffer.from(chunk)), {
    compression,
    level,
  })
  return { ...digests, stored: Buffer.concat(chunks) }
}

/** Text and noise in turn, the same every time, 9.3 MB: enough for threads to be started. */
const large = Buffer.concat(
  Array.from({ length: 93 }, (_, i) =>
    i % 3 === 0 ? noise(i, 100_000) : Buffer.alloc(100_000, `line ${i} of some text\n`),
  ),
)
function noise(seed: number, length: number): Buffer {
  let state = seed + 1
  return Buffer.from(Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) & 255))
}
const samples: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['a byte', Buffer.from('x')],
  ['an empty tar', Buffer.alloc(1024)],
  ['one block', large.subarray(0, 1024 * 1024)],
  ['one block and a byte', large.subarray(0, 1024 * 1024 + 1)],
  ['nine blocks', large],
]

describe.each(['none', 'gzip', 'zstd'] as const)('compressLayer, %s', compression => {
  it.each(samples)('gives both digests, the size and the media type of %s', async (_what, bytes) => {
    const { stored, ...digests } = await compress(bytes, compression)
    const mediaType = { none: oci.layer, gzip: oci.layerGzip, zstd: oci.layerZstd }[compression]
    expect(digests).toEqual({ diffId: digestOf(bytes), digest: digestOf(stored), size: stored.length, mediaType })
    expect((await bytesOf(decompress(streamOf(stored), compression))).equals(bytes)).toBe(true)
  })

  it('does not depend on how the tar comes in pieces', async () => {
    const whole = await compress(large, compression, large.length)
    for (const piece of [1_048_577, 65_536, 1000])
      expect((await compress(large, compression, piece)).digest).toBe(whole.digest)
  })

  it('gives the same for layers that are made at once', async () => {
    const alone = await compress(large, compression)
    const together = await Promise.all(Array.from({ length: 4 }, () => compress(large, compression)))
    expect(together.map(layer => layer.digest)).toEqual(Array(4).fill(alone.digest))
  })

  it('waits for each write before it asks for much more', async () => {
    let made = 0
    let written = 0
    let most = 0
    const endless: LayerSource = {
      kind: 'source',
      createdBy: 'test',
      async *tar() {
        for (let i = 0; i < 60; i++) {
          made++
          most = Math.max(most, made - written)
          yield await Promise.resolve(randomBytes(1024 * 1024))
        }
      },
    }
    await compressLayer(
      endless,
      async () => {
        await setTimeout(2)
        written++
      },
      { compression },
    )
    expect(made).toBe(60)
    expect(most).toBeLessThan(25)
  })

  it('leaves the pieces of the tar as they were', async () => {
    const bytes = Buffer.from(large)
    await compress(bytes, compression)
    expect(bytes.equals(large)).toBe(true)
  })

  it('passes on what the source throws, and what the destination throws, and lets go of the source', async () => {
    const broken: LayerSource = {
      kind: 'source',
      createdBy: 'test',
      async *tar() {
        yield* streamOf(large)
        throw new Error('no more')
      },
    }
    expect(await failureOf(compressLayer(broken, () => {}, { compression }))).toEqual(new Error('no more'))
    let released = false
    const careful: LayerSource = {
      kind: 'source',
      createdBy: 'test',
      async *tar() {
        try {
          yield* streamOf(large)
        } finally {
          released = true
        }
      },
    }
    let writes = 0
    const full = (): void => {
      if (++writes === 2) throw new Error('disk full')
    }
    expect(await failureOf(compressLayer(careful, full, { compression }))).toEqual(new Error('disk full'))
    expect(released).toBe(true)
  })

  it('stops when it is aborted', async () => {
    const stop = new AbortController()
    const options = { compression, signal: stop.signal }
    let chunks = 0
    const write = (): void => void (++chunks === 2 && stop.abort(new Error('enough')))
    const endless: LayerSource = {
      kind: 'source',
      createdBy: 'test',
      async *tar() {
        for (;;) yield await Promise.resolve(large)
      },
    }
    expect(await failureOf(compressLayer(endless, write, options))).toEqual(new Error('enough'))
  })
})

describe('levels', () => {
  const text = readFileSync(join(import.meta.dirname, '../../package-lock.json'))

  it.each([
    ['gzip', [1, 2, 6, 9]],
    ['zstd', [1, 3, 9, 19]],
  ] as const)('of %s: a higher one makes a smaller layer of the same content', async (compression, levels) => {
    const layers = await Promise.all(levels.map(level => compress(text, compression, text.length, level)))
    const sizes = layers.map(({ size }) => size)
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a))
    expect(new Set(layers.map(({ digest }) => digest)).size).toBeGreaterThan(1)
    for (const { stored } of layers)
      expect((await bytesOf(decompress(streamOf(stored), compression))).equals(text)).toBe(true)
  })

  it.each(['gzip', 'zstd'] as const)('the default of %s is the fastest', async compression => {
    expect(await compress(text, compression, text.length, 1)).toEqual(await compress(text, compression))
  })

  it.each([
    ['gzip', 0],
    ['zstd', 22],
  ] as const)('the outermost of %s has room for noise', async (compression, level) => {
    const { stored } = await compress(noise(7, 2_500_000), compression, 2_500_000, level)
    expect((await bytesOf(decompress(streamOf(stored), compression))).equals(noise(7, 2_500_000))).toBe(true)
  })

  it('gzip reads a layer of level 9', async () => {
    const { stored } = await compress(large, 'gzip', large.length, 9)
    expect(gunzipSync(stored).equals(large)).toBe(true)
  })

  it('are part of what identifies the bytes, besides the kind', async () => {
    const formats = await Promise.all(
      [
        { compression: 'gzip' as const },
        { compression: 'gzip' as const, level: 9 },
        { compression: 'zstd' as const },
        { compression: 'zstd' as const, level: 9 },
      ].map(layerFormat),
    )
    expect(new Set(formats).size).toBe(4)
    expect(await layerFormat({})).toBe(await layerFormat({ compression: 'gzip', level: 1 }))
  })
})

describe('what a destination is given', () => {
  it.each(['none', 'gzip', 'zstd'] as const)(
    'stays as it is until it has been written, though memory is used again, %s',
    async kind => {
      const dir = await temporaryDirectory()
      writeFileSync(join(dir, 'large'), large)
      const tree = layerSource('test', [{ kind: 'tree', hostPath: dir, imagePath: '/t', uid: 0, gid: 0 }])
      const chunks: Uint8Array[] = []
      const write = async (chunk: Uint8Array): Promise<void> => {
        await setTimeout(5)
        chunks.push(Buffer.from(chunk))
      }
      const { digest } = await compressLayer(tree, write, { compression: kind })
      expect(digestOf(Buffer.concat(chunks))).toBe(digest)
    },
  )
})

describe('gzip', () => {
  it('is one member with no name and no time, as every reader knows it', async () => {
    const { stored } = await compress(large, 'gzip')
    expect(stored.subarray(0, 10).toString('hex')).toBe('1f8b08000000000004ff')
    expect(gunzipSync(stored).equals(large)).toBe(true)
    const path = join(await temporaryDirectory(), 'layer.gz')
    writeFileSync(path, stored)
    expect(execFileSync('gzip', ['-t', path], { encoding: 'utf8' })).toBe('')
    expect(execFileSync('gzip', ['-dc', path], { maxBuffer: 2e7 }).equals(large)).toBe(true)
  })

  it.each([
    { kind: 'gzip', level: 1 },
    { kind: 'gzip', level: 9 },
    { kind: 'zstd', level: 19 },
  ] as const)('does not depend on the number of threads, $kind level $level', async compression => {
    const by = async (pool: typeof inlinePool): Promise<Buffer> => {
      const pieces: Uint8Array[] = []
      for await (const { bytes } of compressBlocks(streamOf(large), () => pool(compression))) pieces.push(bytes)
      return Buffer.concat(pieces)
    }
    expect((await by(threadedPool)).equals(await by(inlinePool))).toBe(true)
  })

  // Digests of layers are in the images that people rebuild: a change here makes every layer of theirs a new one.
  it('gives the bytes that it always gave', async () => {
    expect((await compress(large, 'gzip')).digest).toBe(
      'sha256:46fd9ba0cf9cf9cde2eaf01dc8f5e091d4dedb70cfde43b79767b22585ab4dd6',
    )
    expect((await compress(Buffer.alloc(0), 'gzip')).stored.toString('hex')).toBe(
      '1f8b08000000000004ff000000ffff03000000000000000000',
    )
  })
})

describe('zstd', () => {
  it('is read by zstd(1)', async ({ skip }) => {
    const { stored } = await compress(large, 'zstd')
    const path = join(await temporaryDirectory(), 'layer.zst')
    writeFileSync(path, stored)
    let plain: Buffer | undefined
    try {
      plain = execFileSync('zstd', ['-dcq', path], { maxBuffer: 2e7 })
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') skip('zstd is not installed')
      throw error
    }
    expect(plain.equals(large)).toBe(true)
  })
})
