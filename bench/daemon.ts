import { startDocker } from '../test/helpers/daemons.ts'
import type { Bench } from './bench.ts'
import { type Row, shell } from './measure.ts'

/** Counts the bytes sent to a Docker daemon: it gets a layer once, and not again when a second layer is added. */
export async function daemonRows({ dir, tree, task, ends }: Bench): Promise<Row[]> {
  const piece = 'daemon'
  const docker = await startDocker()
  if (docker.state === 'missing') return [{ piece, name: 'docker daemon', note: `not measured: ${docker.reason}` }]
  const { socketPath } = ends.adopt(docker.value, daemon => daemon.stop())
  const load = async (...trees: string[]): Promise<number> =>
    Math.round(Number(await shell(task('load', socketPath, dir, ...trees), dir)) / 1e6)
  await shell('mkdir -p little && echo hello >little/hello', dir)
  const first = await load(tree().path)
  const again = await load(tree().path, 'little')
  return [
    { piece, name: 'MB sent at first', count: first },
    { piece, name: 'MB sent again with a little layer above', count: again, target: 0, met: again <= 0 },
  ]
}
