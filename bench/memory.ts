import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Row, compare } from './measure.ts'
import { makeNoise } from './tree.ts'

/** Measures the peak memory of a push: of a small layer, a large one, and many at once. */
export async function memoryRows({ dir, runs, full, task, registry }: Bench): Promise<Row[]> {
  const host = await registry()
  const push = (compression: string, ...trees: string[]) => ({
    // Time is not measured here, and repeating the largest input would fill the disk.
    before: 'rm -rf memory-cache',
    command: task('push', compression, 'memory-cache', `${host}/memory`, ...trees),
    by: 'peakMB' as const,
  })
  const small = makeNoise(join(dir, 'small'), 1_000, 50_000).path
  const [files, megabytes] = full ? [100_000, 5_000] : [10_000, 500]
  const large = makeNoise(join(dir, 'large'), files, (megabytes * 1e6) / files).path
  const many = Array.from({ length: 64 }, (_, i) => makeNoise(join(dir, 'many', `${i}`), 100, 50_000, i + 1).path)
  const rows = ['gzip', 'zstd'].flatMap(compression => {
    const base = `${compression}: a layer of 50 MB`
    const name = `${compression}: a layer of ${megabytes} MB in ${files} files`
    return [
      { name: base, ...push(compression, small), target: 200 },
      { name, ...push(compression, large), against: base, target: 1.1 },
      { name: `${compression}: 64 layers of 5 MB at once`, ...push(compression, ...many), target: 200 },
    ]
  })
  return compare('memory', dir, runs, rows)
}
