import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import type { Bench } from './index.ts'
import { type Row, compare, quote } from './measure.ts'

/** A tree becomes a layer, in a file and in a registry on this machine. */
export async function exportRows({ dir, runs, tree, task }: Bench): Promise<Row[]> {
  const registry = await startDockerRegistry({ secure: false })
  const path = quote(tree().path)
  const base = 'tar | gzip -1'
  const push = (compression: string, cache: string, from: string): string =>
    task('push', compression, cache, `${registry.host}/${cache}`, from)
  try {
    return compare('export', dir, runs, [
      { name: base, command: `tar -C ${path} -cf - . | gzip -1 > tar.gz` },
      { name: 'pack, gzip', command: task('pack', 'gzip', tree().path, 'bale.gz'), against: base },
      { name: 'pack, zstd', command: task('pack', 'zstd', tree().path, 'bale.zst'), against: base },
      {
        name: 'export to a registry, gzip, cold',
        before: 'rm -rf cold',
        command: push('gzip', 'cold', tree().path),
        against: base,
        target: 0.3,
      },
      {
        name: 'export to a registry, zstd, cold',
        before: 'rm -rf cold-zstd',
        command: push('zstd', 'cold-zstd', tree().path),
        against: base,
        target: 0.33,
      },
      {
        name: 'export to a registry, gzip, one file changed',
        before: `echo "$RANDOM" >>${path}/copy-0/typescript/package.json`,
        command: push('gzip', 'cold', tree().path),
        against: 'export to a registry, gzip, cold',
        target: 0.15,
      },
    ])
  } finally {
    await registry.close()
  }
}
