import type { Bench } from './index.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** A layer becomes a tree. */
export function restoreRows({ dir, runs, tree, task }: Bench): Row[] {
  shell(`tar -C ${quote(tree().path)} -cf tar.tar .`, dir)
  for (const compression of ['none', 'gzip', 'zstd'])
    shell(task('pack', compression, tree().path, `layer.${compression}`), dir)
  const before = 'rm -rf out'
  const base = 'tar -x'
  return compare('restore', dir, runs, [
    { name: base, before, command: 'mkdir out && tar -C out -xf tar.tar' },
    {
      name: 'unpack, not compressed',
      before,
      command: task('unpack', 'none', 'layer.none', 'out'),
      against: base,
      target: 2,
    },
    { name: 'unpack, gzip', before, command: task('unpack', 'gzip', 'layer.gzip', 'out'), against: base, target: 2 },
    { name: 'unpack, zstd', before, command: task('unpack', 'zstd', 'layer.zstd', 'out'), against: base, target: 2 },
  ])
}
