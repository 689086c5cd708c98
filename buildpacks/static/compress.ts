import { readFile, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { SiteFile } from './files.ts'

/** Types that compress well. Images, fonts and videos are already compressed. */
const texts = new Set(
  '.html .htm .css .js .mjs .cjs .json .map .svg .xml .txt .md .csv .wasm .webmanifest .ico .ttf .otf .eot .rss .atom .ics .vtt .glsl .geojson'.split(
    ' ',
  ),
)
/** In bytes. Compressing smaller files gains nothing: a response's headers are as long. */
const smallest = 256
/** In bytes. Brotli's best level takes a second for each half megabyte. */
const largestForBest = 2 * 1024 * 1024

/**
 * Writes `.gz` and `.br` beside the files that become smaller, so that the server does not have to compress them.
 * @returns the number of files that have one
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
      // Files that the front end's own build compressed are as good.
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
