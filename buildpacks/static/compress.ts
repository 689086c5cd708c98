import { readFile, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { SiteFile } from './files.ts'

/** What compresses well; images, fonts and videos are compressed already. */
const texts = new Set(
  '.html .htm .css .js .mjs .cjs .json .map .svg .xml .txt .md .csv .wasm .webmanifest .ico .ttf .otf .eot .rss .atom .ics .vtt .glsl .geojson'.split(
    ' ',
  ),
)
/** Bytes. Below it is no gain: a response's headers are as long. */
const smallest = 256
/** Bytes. Brotli's best level takes a second for each half megabyte. */
const largestForBest = 2 * 1024 * 1024

/**
 * Writes `.gz` and `.br` beside the files that become smaller by it, so that the server need not compress.
 * @returns how many files have one
 */
export async function compressFiles(root: string, files: readonly SiteFile[]): Promise<number> {
  const given = new Set(files.map(({ path }) => path))
  let count = 0
  for (const { path, size } of files) {
    if (size < smallest || !texts.has(extname(path).toLowerCase())) continue
    const content = await readFile(join(root, path))
    const made = [
      { suffix: '.gz', bytes: () => promisify(gzip)(content, { level: 9 }) },
      { suffix: '.br', bytes: () => promisify(brotliCompress)(content, { params: brotliSettings(size) }) },
    ]
    let smaller = false
    for (const { suffix, bytes } of made) {
      // What the front end's own build compressed is as good.
      if (given.has(path + suffix) || (await stat(join(root, path + suffix)).catch(() => undefined))) continue
      const compressed = await bytes()
      if (compressed.length >= size * 0.95) continue
      await writeFile(join(root, path + suffix), compressed)
      smaller = true
    }
    if (smaller) count++
  }
  return count
}

function brotliSettings(size: number): Record<number, number> {
  return {
    [constants.BROTLI_PARAM_QUALITY]: size > largestForBest ? 9 : constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: size,
  }
}
