import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import { prepareBuild } from './build.ts'
import type { Bench } from './index.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** A layer becomes a tree. */
export async function restoreRows(bench: Bench): Promise<Row[]> {
  const { dir, runs, tree, task } = bench
  shell(`tar -C ${quote(tree().path)} -cf tar.tar .`, dir)
  for (const compression of ['none', 'gzip', 'zstd'])
    shell(task('pack', compression, tree().path, `layer.${compression}`), dir)
  const base = 'tar -x'
  const unpack = (compression: string): string =>
    `${task('unpack', compression, `layer.${compression}`)} "$ROUND/${compression}"`
  const registry = await startDockerRegistry({ secure: false })
  try {
    const { build } = prepareBuild(bench, registry.host)
    const from = `--cache-image ${registry.host}/cache`
    shell(build(from), dir)
    const rows = compare('restore', dir, runs, [
      { name: base, command: 'mkdir "$ROUND/tar" && tar -C "$ROUND/tar" -xf tar.tar' },
      { name: 'unpack, not compressed', command: unpack('none'), against: base, target: 2 },
      { name: 'unpack, gzip', command: unpack('gzip'), against: base, target: 2 },
      { name: 'unpack, zstd', command: unpack('zstd'), against: base, target: 2 },
    ])
    const tar = rows[0]?.seconds ?? NaN
    return [...rows, restored('restore from a cache image', runs, 2, () => shell(build(from, '--verbose'), dir), tar)]
  } finally {
    await registry.close()
  }
}

/** What builds say of their restore phase: the median. @param target in seconds, or times `tar -x` if that is given */
export function restored(name: string, runs: number, target: number, build: () => string, tar?: number): Row {
  const all = Array.from({ length: runs }, () => Number(/restore took ([\d.]+) s/.exec(build())?.[1]))
  const seconds = all.sort((a, b) => a - b)[runs >> 1] as number
  if (tar === undefined) return { piece: 'restore', name, seconds, target, met: seconds <= target }
  const ratio = seconds / tar
  return { piece: 'restore', name, seconds, against: 'tar -x', ratio, target, met: ratio <= target }
}
