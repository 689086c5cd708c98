import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { type Compression, layerMediaType } from '../../lifecycle/image/media-types.ts'
import { decompress, type DecompressOptions, mostBytesOf } from '../../lifecycle/layers/compression/decompress.ts'
import { layerTar } from '../../lifecycle/layers/layer-tar.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'

// The oracle: the decoder returns all bytes, or one error that names the fault. It never exceeds the limit.

const plain = Buffer.concat(Array.from({ length: 600 }, (_, i) => Buffer.from(`${i * i} lines of text, `)))
const gzip = gzipSync(plain)
const zstd = zstdCompressSync(plain)
const skippable = Buffer.concat([Buffer.from('502a4d1805000000', 'hex'), Buffer.from('table')])

const read = (
  bytes: Uint8Array,
  compression: Compression,
  options?: DecompressOptions,
  piece?: number,
): Promise<Buffer> => bytesOf(decompress(streamOf(bytes, piece), compression, options))
const refusal = (...args: Parameters<typeof read>): Promise<unknown> => failureOf(read(...args))
const input = (message: RegExp): unknown =>
  expect.objectContaining({ name: 'BaleError', code: 'input', message: expect.stringMatching(message) as string })

describe('decompress', () => {
  it.each([
    ['none', plain],
    ['gzip', gzip],
    ['zstd', zstd],
  ] as const)('%s, in pieces of any size', async (compression, bytes) => {
    for (const piece of [1, 3, 1000, 1e6]) expect((await read(bytes, compression, {}, piece)).equals(plain)).toBe(true)
  })

  it('T36 stops at the limit of a bomb, long before its end', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000))
    expect(bomb.length).toBeLessThan(250_000)
    let size = 0
    const counting = async (compression: Compression, bytes: Uint8Array): Promise<void> => {
      for await (const chunk of decompress(streamOf(bytes), compression, { maxBytes: 1_000_000 })) size += chunk.length
    }
    expect(await failureOf(counting('gzip', bomb))).toEqual(input(/a gzip layer holds more than 1000000 bytes/))
    expect(size).toBeLessThanOrEqual(1_000_000)
    expect(await failureOf(counting('zstd', zstdCompressSync(Buffer.alloc(50_000_000))))).toEqual(
      input(/a zstd layer holds more/),
    )
    expect(await failureOf(counting('none', Buffer.alloc(1_000_001)))).toEqual(input(/holds more/))
  })

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('T36 holds a limit of its own for layers: of %s, a thousand times the size', async (kind, compress) => {
    const stored = Buffer.concat(Array<Uint8Array>(17).fill(compress(Buffer.alloc(2 ** 26))))
    const digests = { kind: 'layer' as const, diffId: digestOf('never reached'), digest: digestOf(stored) }
    const mediaType = layerMediaType(kind)
    let size = 0
    const counting = async (): Promise<void> => {
      const layer = { ...digests, size: stored.length, mediaType, open: () => streamOf(stored) }
      for await (const chunk of layerTar(layer)) size += chunk.length
    }
    expect(await failureOf(counting())).toEqual(input(/layer holds more than 1073741824 bytes/))
    expect(size).toBeLessThanOrEqual(2 ** 30)
    expect(mostBytesOf({ size: 10 ** 9, mediaType })).toBe(200 * 10 ** 9)
    // Some that are not compressed are of unknown size: those that a daemon describes.
    expect(mostBytesOf({ size: 0, mediaType: layerMediaType('none') })).toBe(Infinity)
  })

  it('T38 joins concatenated members and frames', async () => {
    const twice = Buffer.concat([plain, plain])
    for (const piece of [1, 7, gzip.length, 1e6])
      expect((await read(Buffer.concat([gzip, gzip]), 'gzip', {}, piece)).equals(twice)).toBe(true)
    for (const piece of [1, 7, 1e6]) {
      expect((await read(Buffer.concat([zstd, zstd]), 'zstd', {}, piece)).equals(twice)).toBe(true)
      expect(
        (await read(Buffer.concat([skippable, zstd, skippable, zstd, skippable]), 'zstd', {}, piece)).equals(twice),
      ).toBe(true)
    }
  })

  it('reads zstd with checksums, of unknown size, and of any level', async () => {
    for (const params of [
      { [constants.ZSTD_c_checksumFlag]: 1 },
      { [constants.ZSTD_c_contentSizeFlag]: 0 },
      { [constants.ZSTD_c_compressionLevel]: 19 },
    ]) {
      const frame = zstdCompressSync(plain, { params })
      expect((await read(Buffer.concat([frame, frame]), 'zstd', {}, 100)).equals(Buffer.concat([plain, plain]))).toBe(
        true,
      )
    }
    const summed = zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    summed[summed.length - 1]! ^= 1
    expect(await refusal(summed, 'zstd')).toEqual(input(/damaged/))
  })

  it('T39 passes over zeros after gzip, and refuses garbage', async () => {
    expect((await read(Buffer.concat([gzip, Buffer.alloc(1000)]), 'gzip')).equals(plain)).toBe(true)
    expect(await refusal(Buffer.concat([gzip, Buffer.from('garbage')]), 'gzip')).toEqual(
      input(/gzip data of a layer is damaged: incorrect header/),
    )
    expect(await refusal(Buffer.concat([gzip, Buffer.from([0x1f])]), 'gzip')).toEqual(input(/damaged/))
  })

  it('T39 refuses anything after zstd that is no frame', async () => {
    for (const tail of [Buffer.from('garbage'), Buffer.alloc(1000), Buffer.from([0x28])])
      expect(await refusal(Buffer.concat([zstd, tail]), 'zstd')).toEqual(input(/outside a frame/))
  })

  it('T40 refuses what is cut short, anywhere', async () => {
    for (let length = 4; length < gzip.length; length += 37)
      expect(await refusal(gzip.subarray(0, length), 'gzip'), `${length}`).toEqual(input(/damaged: unexpected end/))
    for (let length = 4; length < zstd.length; length++)
      expect(await refusal(zstd.subarray(0, length), 'zstd'), `${length}`).toEqual(
        input(/damaged: (it ends within a frame|unexpected end)/),
      )
    expect(await refusal(skippable.subarray(0, 10), 'zstd')).toEqual(input(/ends within a frame/))
  })

  it('T40 refuses a wrong checksum, and a flipped bit', async () => {
    const wrong = Buffer.from(gzip)
    wrong.writeUInt32LE((wrong.readUInt32LE(gzip.length - 8) ^ 1) >>> 0, gzip.length - 8)
    expect(await refusal(wrong, 'gzip')).toEqual(input(/incorrect data check/))
    wrong.set(gzip)
    wrong.writeUInt32LE(1, gzip.length - 4)
    expect(await refusal(wrong, 'gzip')).toEqual(input(/incorrect length check/))
    const flipped = Buffer.from(zstd)
    flipped[5]! ^= 0xff
    expect(await refusal(flipped, 'zstd')).toEqual(input(/damaged/))
  })

  it('T41 refuses a window of 1 GB, which would be memory of its choosing', async () => {
    const windowLog = 30
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3])
    const rawBlock = Buffer.concat([Buffer.from([(3 << 3) | 1, 0, 0]), Buffer.from('abc')])
    expect(await refusal(Buffer.concat([header, rawBlock]), 'zstd')).toEqual(
      input(/damaged: .*memory|damaged: .*window/i),
    )
    header[5] = (23 - 10) << 3
    expect((await read(Buffer.concat([header, rawBlock]), 'zstd')).toString()).toBe('abc')
  })

  it.each([
    ['gzip', 'none', plain],
    ['gzip', 'zstd', zstd],
    ['zstd', 'gzip', gzip],
    ['zstd', 'none', plain],
    ['none', 'gzip', gzip],
    ['none', 'zstd', zstd],
  ] as const)('T42 the media type says %s, the bytes are %s', async (claimed, actual, bytes) => {
    const message = `the media type of a layer says ${claimed}, its bytes say ${actual}`
    for (const piece of [1, 1e6])
      expect(await refusal(bytes, claimed, {}, piece)).toMatchObject({ code: 'input', message })
  })

  it('takes nothing for an empty tar only', async () => {
    expect(await read(Buffer.alloc(0), 'none')).toHaveLength(0)
    for (const compression of ['gzip', 'zstd'] as const)
      expect(await refusal(Buffer.alloc(0), compression)).toEqual(input(/its bytes say none/))
  })

  it('passes on what the source throws', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield* streamOf(gzip.subarray(0, 100))
      throw new Error('connection lost')
    }
    expect(await failureOf(bytesOf(decompress(broken(), 'gzip')))).toEqual(new Error('connection lost'))
  })

  it.each(['none', 'gzip', 'zstd'] as const)('lets go of the source when nobody wants more, %s', async compression => {
    let released = false
    const careful = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield* streamOf({ none: plain, gzip, zstd }[compression], 100)
      } finally {
        released = true
      }
    }
    for await (const _chunk of decompress(careful(), compression)) break
    await vi.waitFor(() => expect(released).toBe(true))
  })
})
