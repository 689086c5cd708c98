import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { compressLayer } from '../../lifecycle/layers/compression/compress.ts'
import { buildDeflate } from '../../scripts/build-deflate.mjs'
import { streamOf } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const plain = Buffer.alloc(9_000_000, 'enough for threads')

/** `main.ts` of that directory as `dist/main.mjs`, without what lies beside a bundle of ours. */
async function bundle(dir: string): Promise<void> {
  await build({
    entryPoints: [join(dir, 'main.ts')],
    outfile: join(dir, 'dist/main.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
}

describe('a bundle', () => {
  it.each([false, true])(
    'finds the compressor and its threads, chunks in a folder of their own: %s',
    async splitting => {
      const dir = await temporaryDirectory()
      const room = JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/compression/compress.ts'))
      const program = (more: string): string => `
      import { compressLayer } from ${room}
      const source = { createdBy: 'test', async *tar() { yield Buffer.alloc(9_000_000, 'enough for threads') } }
      const digests = await compressLayer(source, () => {}, { compression: 'gzip' })
      console.log(digests.digest + ${JSON.stringify(more)})`
      for (const name of ['one', 'two']) writeFileSync(join(dir, `${name}.ts`), program(name))
      await build({
        entryPoints: splitting ? [join(dir, 'one.ts'), join(dir, 'two.ts')] : [join(dir, 'one.ts')],
        outdir: join(dir, 'dist'),
        outExtension: { '.js': '.mjs' },
        chunkNames: 'chunks/[name]-[hash]',
        bundle: true,
        splitting,
        platform: 'node',
        format: 'esm',
      })
      await buildDeflate({ bundle: join(dir, 'dist') })
      const { digest } = await compressLayer(
        { kind: 'source', createdBy: 'test', tar: () => streamOf(plain) },
        () => {},
        {
          compression: 'gzip',
        },
      )
      expect(execFileSync(process.execPath, [join(dir, 'dist/one.mjs')], { encoding: 'utf8' })).toBe(`${digest}one\n`)
    },
  )

  it('finds the decompressor, which fails and does not hang when its thread cannot start', async () => {
    const dir = await temporaryDirectory()
    const room = JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/compression/decompress.ts'))
    writeFileSync(
      join(dir, 'main.ts'),
      `import { decompress } from ${room}
      const source = async function* () { for (let i = 0; i < 20; i++) yield Buffer.alloc(1_000_000, 'x') }
      const attempt = async () => {
        let size = 0
        for await (const chunk of decompress(source(), 'none', { digest: '${digestOf(Buffer.alloc(20_000_000, 'x'))}' }))
          if (chunk.buffer instanceof SharedArrayBuffer) size += chunk.length
        console.log(size)
      }
      for (let i = 0; i < 2; i++) await attempt().catch(e => console.log(e.name, e.message.slice(0, 24)))`,
    )
    await bundle(dir)
    await buildDeflate({ bundle: join(dir, 'dist') })
    const run = () => execFileSync(process.execPath, [join(dir, 'dist/main.mjs')], { encoding: 'utf8' })
    expect(run()).toBe('20000000\n20000000\n')
    rmSync(join(dir, 'dist/decompress-worker.cjs'))
    expect(run()).toBe('BaleError the decompressor stopped\nBaleError the decompressor stopped\n')
  })

  it('fails, and does not hang, when its threads cannot start', async () => {
    const dir = await temporaryDirectory()
    const room = JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/compression/compress.ts'))
    writeFileSync(
      join(dir, 'main.ts'),
      `import { compressLayer } from ${room}
      const source = { createdBy: 'test', async *tar() { for (let i = 0; i < 20; i++) yield Buffer.alloc(1_000_000, i) } }
      const attempt = () => compressLayer(source, () => {}, { compression: 'gzip' })
      for (let i = 0; i < 2; i++) await attempt().catch(e => console.log(e.name, e.message.slice(0, 22)))`,
    )
    await bundle(dir)
    await buildDeflate({ bundle: join(dir, 'dist') })
    rmSync(join(dir, 'dist/layers-worker.cjs'))
    const output = execFileSync(process.execPath, [join(dir, 'dist/main.mjs')], { encoding: 'utf8' })
    expect(output).toBe('BaleError a worker thread stoppe\nBaleError a worker thread stoppe\n')
  })

  it('says what to do when the compressor is missing', async () => {
    const dir = await temporaryDirectory()
    const room = JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/compression/deflate/index.ts'))
    writeFileSync(
      join(dir, 'main.ts'),
      `import { deflateModule } from ${room}; await deflateModule().catch(e => console.log(e.message, e.fix))`,
    )
    await bundle(dir)
    expect(execFileSync(process.execPath, [join(dir, 'dist/main.mjs')], { encoding: 'utf8' })).toBe(
      'the compressor (deflate.wasm) cannot be loaded in a checkout, run `node scripts/build-deflate.mjs`; otherwise install Bale again\n',
    )
  })
})
