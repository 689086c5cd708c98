import type { Bench } from './bench.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** Measures unpacking a layer to a tree. Whole builds measure a cache directory, whose trees are moved. */
export async function restoreRows({ dir, runs, tree, task, registry }: Bench): Promise<Row[]> {
  const cache = `${await registry()}/cache`
  await shell(`tar -C ${quote(tree().path)} -cf tar.tar . && ${task('keep', cache, tree().path)}`, dir)
  const kinds = ['none', 'gzip', 'zstd']
  for (const compression of kinds) await shell(task('pack', compression, tree().path, `layer.${compression}`), dir)
  const base = 'tar -x'
  return compare('restore', dir, runs, [
    { name: base, command: 'mkdir "$ROUND/tar" && tar -C "$ROUND/tar" -xf tar.tar' },
    ...kinds.map(compression => ({
      name: `unpack, ${compression === 'none' ? 'not compressed' : compression}`,
      command: `${task('unpack', compression, `layer.${compression}`)} "$ROUND/${compression}"`,
      against: base,
      target: 2,
    })),
    {
      // Only the phase: a whole build would delete the tree at its end, and that slows down the next program that creates files.
      name: 'restore from a cache image',
      command: `${task('restore', cache)} "$ROUND/layers" && test -e "$ROUND/layers/bench/tree/copy-0"`,
      against: base,
      target: 2,
    },
  ])
}
