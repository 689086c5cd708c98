import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import { join } from 'node:path'
import type { Bench } from './index.ts'
import { type Row, compare, quote } from './measure.ts'
import { makeNoise } from './tree.ts'

/** The most memory that a push takes: of a small layer, a large one, and many at once. */
export async function memoryRows({ dir, runs, full, task }: Bench): Promise<Row[]> {
  const registry = await startDockerRegistry({ secure: false })
  const push = (name: string, ...trees: string[]): string =>
    `${task('push', name.includes('zstd') ? 'zstd' : 'gzip')} "$ROUND/${name}" ${registry.host}/memory ${trees.map(quote).join(' ')}`
  try {
    const small = makeNoise(join(dir, 'small'), 1_000, 50_000).path
    const [files, megabytes] = full ? [100_000, 5_000] : [10_000, 500]
    const large = makeNoise(join(dir, 'large'), files, (megabytes * 1e6) / files).path
    const many = Array.from({ length: 64 }, (_, i) => makeNoise(join(dir, 'many', `${i}`), 100, 50_000, i + 1).path)
    const base = 'a layer of 50 MB'
    return compare('memory', dir, runs, [
      { name: base, command: push('small', small), by: 'peakMB', target: 200 },
      {
        name: `a layer of ${megabytes} MB in ${files} files`,
        command: push('large', large),
        by: 'peakMB',
        against: base,
        target: 1.1,
      },
      { name: '64 layers of 5 MB at once', command: push('many', ...many), by: 'peakMB', target: 200 },
      { name: 'the large layer, zstd', command: push('large-zstd', large), by: 'peakMB', target: 200 },
    ])
  } finally {
    await registry.close()
  }
}
