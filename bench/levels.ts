import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Row, compare } from './measure.ts'

const levels = [
  ...['1', '6', '9'].map(level => ['gzip', level] as const),
  ...['1', '3', '9'].map(level => ['zstd', level] as const),
]

/** Measures what levels of compression cost and save: a layer of the tree, in a file. */
export async function levelRows({ dir, runs, tree, task }: Bench): Promise<Row[]> {
  const piece = 'levels'
  const { path } = tree()
  const tasks = levels.map(([compression, level]) => ({
    name: `${compression} ${level}`,
    command: `${task('pack', compression, path)} "$ROUND/${compression}-${level}" ${level}`,
  }))
  const rows = await compare(piece, dir, runs, tasks)
  const sizes = levels.map(([compression, level]): Row => {
    const { size } = statSync(join(dir, `${piece}-0`, `${compression}-${level}`))
    return { piece, name: `MB, ${compression} ${level}`, count: Math.round(size / 1e5) / 10 }
  })
  return [...rows, ...sizes]
}
