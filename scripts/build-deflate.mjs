// Compiles lifecycle/layers/compression/deflate/assembly (AssemblyScript) to deflate.wasm beside it, unless that is up to date.
// The repository contains no binaries: npm's `prepare`, the tests and the bundle call this.
//
//   node scripts/build-deflate.mjs           compile if missing or stale
//   buildDeflate({ bundle: 'dist' })         also put deflate.wasm and the programs of threads into the bundle
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = join(root, 'lifecycle/layers/compression/deflate')
const sources = ['deflate.ts', 'huffman.ts'].map(name => join(folder, 'assembly', name))
const wasm = join(folder, 'deflate.wasm')
const compiler = join(root, 'node_modules/assemblyscript/package.json')

export async function buildDeflate({ bundle } = {}) {
  if (!(await isFresh())) await compile()
  if (bundle === undefined) return
  await mkdir(bundle, { recursive: true })
  await copyFile(wasm, join(bundle, 'deflate.wasm'))
  const { build } = await import('esbuild')
  await build({
    entryPoints: {
      'layers-worker': join(folder, '../../layers-worker.ts'),
      'decompress-worker': join(folder, '../decompress-worker.ts'),
    },
    outdir: bundle,
    // A thread starts a quarter sooner with CommonJS. No thread looks for files beside its program.
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    logOverride: { 'empty-import-meta': 'silent' },
    bundle: true,
    platform: 'node',
    target: 'node22',
    absWorkingDir: root,
  })
}

/** For vitest, as a globalSetup. */
export const setup = () => buildDeflate()

/** Whether the result is newer than all its inputs: the sources, these options, the compiler. */
async function isFresh() {
  const made = await modified(wasm)
  const inputs = [...sources, fileURLToPath(import.meta.url), compiler]
  return made > Math.max(...(await Promise.all(inputs.map(modified))))
}

const modified = async path => (await stat(path).catch(() => undefined))?.mtimeMs ?? -1

async function compile() {
  const { main } = await import('assemblyscript/asc')
  const draft = `deflate.${process.pid}.wasm` // renamed when complete, so two concurrent builds do no harm
  const options = '--optimizeLevel 3 --shrinkLevel 0 --noAssert --runtime stub --initialMemory 68 --maximumMemory 68'
  const { error, stderr } = await main(['assembly/deflate.ts', '-o', draft, '--baseDir', folder, ...options.split(' ')])
  if (error) throw new Error(`deflate.ts does not compile: ${error.message}\n${stderr.toString()}`)
  await rename(join(folder, draft), wasm)
}

// `npx bale` in a fresh clone runs `prepare` before the dependencies exist. If this failed, npx would print nothing and fail
// each time. bin/bale says what to do.
if (process.argv[1] === fileURLToPath(import.meta.url) && existsSync(compiler)) await buildDeflate()
