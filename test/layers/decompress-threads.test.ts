import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Compression } from '../../lifecycle/image/media-types.ts'
import { decompress, type DecompressOptions } from '../../lifecycle/layers/compression/decompress.ts'
import { maxWorkers } from '../../lifecycle/layers/workers/pool.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf, noise } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const plain = Buffer.concat([noise(3_000_000), Buffer.alloc(9_000_001, 'text that is small when it is compressed ')])
const digest = digestOf(plain)
const frames = [plain.subarray(0, 1), plain.subarray(1, 1_048_577), plain.subarray(1_048_577)]
const stored: Record<Compression, Buffer> = {
  none: plain,
  gzip: gzipSync(plain, { level: 1 }),
  zstd: Buffer.concat(frames.map(frame => zstdCompressSync(frame))),
}
const all = ['none', 'gzip', 'zstd'] as const
const other = digestOf('other')

const read = (compression: Compression, options: DecompressOptions, bytes = stored[compression]): Promise<Buffer> =>
  bytesOf(decompress(streamOf(bytes), compression, options))

/** Whether chunks come from another thread. */
const isShared = (chunk: Uint8Array): boolean => chunk.buffer instanceof SharedArrayBuffer

describe('a large layer', () => {
  it.each(all)('is decompressed by a thread, %s', async compression => {
    for (const piece of [999, 65_536, 1e9]) {
      const chunks: Buffer[] = []
      for await (const chunk of decompress(streamOf(stored[compression], piece), compression, { digest })) {
        expect(isShared(chunk)).toBe(true)
        chunks.push(Buffer.from(chunk))
      }
      expect(Buffer.concat(chunks).equals(plain)).toBe(true)
    }
  })

  it('is passed on as it is when there is nothing to do', async () => {
    for await (const chunk of decompress(streamOf(plain), 'none')) expect(isShared(chunk)).toBe(false)
  })

  it.each(all)('R01 is refused when its digest is another one, and names both, %s', async compression => {
    const message = `the bytes of ${other} are wrong: their digest is ${digest}`
    expect(await failureOf(read(compression, { digest: other }))).toMatchObject({
      name: 'BaleError',
      code: 'input',
      message,
    })
  })

  it.each(all)('R01 R04 is refused when it is stored as something else, %s', async compression => {
    const bytes = stored[compression]
    const right = { digest: digestOf(bytes), size: bytes.length }
    expect((await read(compression, { stored: right, digest })).equals(plain)).toBe(true)
    expect(await failureOf(read(compression, { stored: { ...right, digest: other } }))).toMatchObject({
      code: 'input',
      message: `the bytes of ${other} are wrong: their digest is ${right.digest}`,
    })
    expect(await failureOf(read(compression, { stored: { ...right, size: bytes.length - 1 } }))).toMatchObject({
      code: 'input',
      message: `the bytes of ${right.digest} are wrong: there are more than ${bytes.length - 1}`,
    })
  })

  it('T36 is refused when it is too large', async () => {
    for (const compression of all) {
      expect(await failureOf(read(compression, { digest, maxBytes: plain.length - 1 }))).toMatchObject({
        code: 'input',
        message: `a ${compression} layer holds more than ${plain.length - 1} bytes`,
        fix: 'if the layer should be this large, make the image without compression',
      })
    }
  })

  it('T38 T39 may have several members, wherever they end, and zeros behind them', async () => {
    const members = Buffer.concat([stored.gzip, stored.gzip, Buffer.alloc(9_000_000)])
    for (const piece of [stored.gzip.length, 65_536]) {
      let released = false
      const source = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield* streamOf(members, piece)
        } finally {
          released = true
        }
      }
      const options = { stored: { digest: digestOf(members), size: members.length } }
      const twice = await bytesOf(decompress(source(), 'gzip', options))
      expect(twice.equals(Buffer.concat([plain, plain]))).toBe(true)
      expect(released).toBe(true)
      const cut = { stored: { ...options.stored, size: members.length - 1 } }
      expect(await failureOf(read('gzip', cut, members))).toMatchObject({
        message: expect.stringMatching('there are more than') as string,
      })
    }
  })

  it('T40 is refused when it is cut short, or damaged at its end', async () => {
    for (const compression of ['gzip', 'zstd'] as const) {
      expect(await failureOf(read(compression, {}, stored[compression].subarray(0, -1)))).toMatchObject({
        code: 'input',
        message: expect.stringMatching(
          `^the ${compression} data of a layer is damaged: (unexpected end|it ends within a frame)`,
        ) as string,
      })
    }
    const damaged = Buffer.from(stored.gzip)
    damaged[damaged.length - 8]! ^= 1
    const failure = await failureOf(read('gzip', {}, damaged))
    expect(failure).toMatchObject({
      code: 'input',
      message: 'the gzip data of a layer is damaged: incorrect data check',
      cause: new Error('incorrect data check'),
    })
  })

  it('T42 is refused when it is compressed in another way', async () => {
    expect(await failureOf(read('gzip', {}, stored.zstd))).toMatchObject({
      message: 'the media type of a layer says gzip, its bytes say zstd',
    })
  })

  it.each(all)('passes on what the source throws, as it is, %s', async compression => {
    const stopped = new AbortController()
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* streamOf(stored[compression].subarray(0, -100_000))
      stopped.abort()
      await Promise.resolve()
      stopped.signal.throwIfAborted()
    }
    const failure = await failureOf(bytesOf(decompress(source(), compression, { digest })))
    expect(failure).toBe(stopped.signal.reason)
  })

  it.each(all)('stops at once when that is wanted, though all of it has been read, %s', async compression => {
    const small = { none: plain.subarray(0, 9), gzip: gzipSync('small'), zstd: zstdCompressSync('small') }
    for (const bytes of [stored[compression], small[compression]]) {
      const stopped = new AbortController()
      const stopping = async (): Promise<void> => {
        const tar = decompress(streamOf(bytes), compression, { signal: stopped.signal })
        for await (const _chunk of tar) stopped.abort()
      }
      const failure = await failureOf(stopping())
      expect(failure).toBe(stopped.signal.reason)
    }
  })

  it('comes with all others, however many there are', async () => {
    const layers = Array.from({ length: 3 * maxWorkers }, (_, i) => read(all[i % 3]!, { digest }))
    for (const bytes of await Promise.all(layers)) expect(bytes.equals(plain)).toBe(true)
  })

  it('is read no faster than somebody wants it', async () => {
    let sent = 0
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield await Promise.resolve(Buffer.alloc(100_000, 'x'))
        sent += 100_000
      }
    }
    const tar = decompress(source(), 'none', { digest })
    await tar.next()
    await new Promise(resolve => setTimeout(resolve, 200))
    expect(sent).toBeLessThan(16_000_000)
    await tar.return(undefined)
    const before = sent
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(sent).toBeLessThan(before + 2_000_000)
  })

  it('lets go of its source and its thread when nobody wants more', async () => {
    for (const compression of [...all, ...all, ...all]) {
      let released = false
      const source = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield* streamOf(stored[compression], 10_000)
        } finally {
          released = true
        }
      }
      for await (const chunk of decompress(source(), compression, { digest })) {
        expect(isShared(chunk)).toBe(true)
        break
      }
      await vi.waitFor(() => expect(released).toBe(true))
    }
    expect((await read('gzip', { digest })).equals(plain)).toBe(true)
  })
})

it.each([
  ['reads all of it', 'for await (const chunk of tar) void chunk'],
  ['stops early', 'for await (const chunk of tar) break'],
  ['reads a chunk and forgets the rest', 'await tar.next()'],
  ['fails', 'const failing = async () => { for await (const chunk of tar) throw 1 }; await failing().catch(() => {})'],
])('a process ends when it %s', async (_how, reading) => {
  const dir = await temporaryDirectory()
  writeFileSync(join(dir, 'layer.gz'), stored.gzip)
  const room = JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/compression/decompress.ts'))
  const program = `
    import { createReadStream } from 'node:fs'
    import { decompress } from ${room}
    const tar = decompress(createReadStream(${JSON.stringify(join(dir, 'layer.gz'))}), 'gzip', { digest: '${digest}' })
    ${reading}
    console.log('done')`
  writeFileSync(join(dir, 'main.mjs'), program)
  expect(execFileSync(process.execPath, [join(dir, 'main.mjs')], { encoding: 'utf8', timeout: 20_000 })).toBe('done\n')
})
