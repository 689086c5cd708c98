import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { expect } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { digestOf, isDigest } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { decompress } from '../../lifecycle/layers/compression/decompress.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { buildDeflate } from '../../scripts/build-deflate.mjs'
import { bytesOf, configOf, layerOf, platform } from './images.ts'
import { temporaryDirectory } from './temporary.ts'
import { writeTree } from './tree.ts'

/** The versions of the app. */
export const variants = ['one', 'two', 'three']

export interface Ended {
  readonly status: number | 'killed'
  /** The image's digest, or the line of the error. */
  readonly last: string
  readonly warnings: readonly string[]
  /** The time from the first output to the last. */
  readonly milliseconds: number
}

export interface Home {
  readonly dir: string
  /** What the builds are told to make, and its name in the store of that. */
  readonly image: string
}

/** Builds in separate processes (build-child.ts), which tests can kill or give a failing disk. */
export class Builds {
  readonly #program: string
  readonly #cache: string

  private constructor(dir: string) {
    this.#program = join(dir, 'build-child.mjs')
    this.#cache = join(dir, 'compiled')
  }

  /** Compiles the sources once. Compiling in each of a thousand processes would take most of the time. */
  static async prepared(): Promise<Builds> {
    const dir = await temporaryDirectory()
    await build({
      entryPoints: [join(import.meta.dirname, 'build-child.ts')],
      outdir: dir,
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      outExtension: { '.js': '.mjs' },
      banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
      logLevel: 'error',
    })
    await buildDeflate({ bundle: dir })
    return new Builds(dir)
  }

  /** @param killAfter milliseconds from its first word on @param fail see build-child.ts */
  async run(home: Home, variant: string, { killAfter, fail }: { killAfter?: number; fail?: string } = {}) {
    const env = { ...process.env, NODE_COMPILE_CACHE: this.#cache, ...(fail && { BALE_FAIL: fail }) }
    const argv = [this.#program, home.dir, variant, home.image]
    const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    const exit = once(child, 'close') as Promise<[number | null, string | null]>
    await once(child.stdout, 'data')
    const began = performance.now()
    if (killAfter !== undefined) {
      await Promise.race([sleep(killAfter), exit])
      child.kill('SIGKILL')
    }
    const [code, signal] = await exit
    const lines = said.trimEnd().split('\n').slice(1)
    const ended: Ended = {
      status: signal === 'SIGKILL' ? 'killed' : (code ?? 255),
      last: lines.findLast(line => !line.startsWith('warning: ')) ?? '',
      warnings: lines.filter(line => line.startsWith('warning: ')),
      milliseconds: performance.now() - began,
    }
    return ended
  }

  /** The digests of all variants, each built twice. */
  async reference(): Promise<{ digests: Map<string, string>; longest: number }> {
    const home = await newHome()
    const digests = new Map<string, string>()
    let longest = 0
    for (const variant of [...variants, ...variants]) {
      const { status, last, milliseconds } = await this.run(home, variant)
      if (status !== 0) throw new Error(last)
      expect(digests.get(variant) ?? last).toBe(last)
      digests.set(variant, last)
      longest = Math.max(longest, milliseconds)
    }
    expect(new Set(digests.values()).size).toBe(variants.length)
    return { digests, longest }
  }
}

/** The directory with the builds' caches and images, a run image, and canary files beside them. */
export async function newHome(dir?: string): Promise<Home> {
  const own = dir ?? (await temporaryDirectory())
  const store = layoutStore(join(own, 'data', 'images'))
  const layer = await store.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\n' }))
  await store.putImage(makeImage(configOf(), [layer]), ['base'])
  await writeTree(own, { launcher: 'the launcher', 'out/.keep': '' })
  await writeTree(own, { 'canary/file': 'canary', 'cache/apps/another-app/committed/canary': 'canary' })
  return { dir: own, image: 'app' }
}

/** Checks that the image is one of these, that the cache is a complete generation, and that other files did not change. */
export async function expectWhole({ dir, image }: Home, digests: Iterable<string>): Promise<void> {
  const [kind = '', path] = image.split(':')
  const store =
    kind === 'oci-archive'
      ? ociArchiveStore(path!, { tmpDir: join(dir, 'tmp') })
      : layoutStore(path ?? join(dir, 'data', 'images'))
  const found = await store.pull(path === undefined ? 'index.docker.io/library/app:latest' : '', platform)
  if (found === undefined) return expect.unreachable('the image is lost')
  expect([...digests]).toContain(found.digest)
  for (const layer of found.layers) {
    expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
    expect(digestOf(await bytesOf(decompress(layer.open(), 'gzip')))).toBe(layer.diffId)
  }
  await expectWholeCache(dir)
  for (const canary of ['canary/file', 'cache/apps/another-app/committed/canary'])
    expect(await readFile(join(dir, canary), 'utf8')).toBe('canary')
}

async function expectWholeCache(dir: string): Promise<void> {
  const apps = join(dir, 'cache', 'apps')
  const [own] = (await readdir(apps)).filter(name => name !== 'another-app')
  const warnings: string[] = []
  const cache = directoryCache(join(apps, own ?? ''), { onWarning: text => warnings.push(text) })
  const layers = (await cache.metadata())?.buildpacks[0]?.layers ?? {}
  expect(Object.keys(layers).sort()).toEqual(['both', 'tools'])
  for (const { sha } of Object.values(layers)) {
    if (!isDigest(sha)) return expect.unreachable('a layer without a digest')
    expect(digestOf(await bytesOf((await cache.open(sha)) ?? expect.unreachable('a layer is lost')))).toBe(sha)
  }
  expect(warnings).toEqual([])
}

/** Files that are named by their content and may belong to any variant: blobs, cached layers and trees. */
const byContent = /blobs\/sha256\/|committed\/sha256:|trees\/[0-9a-f]{64}/

/** All other files, and the total number of bytes. */
export async function filesIn({ dir }: Home): Promise<{ paths: string[]; bytes: number }> {
  const paths: string[] = []
  let bytes = 0
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    bytes += (await lstat(path)).size
    if (!byContent.test(path)) paths.push(path.slice(dir.length))
  }
  return { paths: paths.sort(), bytes }
}
