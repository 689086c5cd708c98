import type { Bench } from './bench.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** Measures making a layer from a tree, in a file and in a registry on this machine. */
export async function exportRows({ dir, runs, tree, task, registry }: Bench): Promise<Row[]> {
  const host = await registry()
  const path = quote(tree().path)
  const base = 'tar | gzip -1'
  const cold = 'export to a registry, gzip'
  const push = (compression: string): string =>
    `${task('push', compression)} "$ROUND/${compression}" ${host}/\${ROUND##*/}/${compression} ${path}`
  // Any program that makes a new blob must hash the tar and send it. On two processors, both run at once.
  await shell(`tar -C ${path} -cf tar.tar . && gzip -1 <tar.tar >blob && sha256sum blob | cut -c-64 >blob.hex`, dir)
  const floor = `sha256sum tar.tar >/dev/null & ${task('send')} ${host}/\${ROUND##*/}/floor blob "$(cat blob.hex)" && wait $!`
  return compare('export', dir, runs, [
    { name: base, command: `tar -C ${path} -cf - . | gzip -1 >"$ROUND/tar.gz"` },
    { name: 'pack, gzip', command: `${task('pack', 'gzip', tree().path)} "$ROUND/bale.gz"`, against: base },
    { name: 'pack, zstd', command: `${task('pack', 'zstd', tree().path)} "$ROUND/bale.zst"`, against: base },
    { name: cold, command: push('gzip'), against: base, target: 0.3 },
    { name: 'export to a registry, zstd', command: push('zstd'), against: base, target: 0.33 },
    {
      name: 'the same again, gzip, one file changed',
      before: `echo "$RANDOM" >>${path}/copy-0/typescript/package.json`,
      command: push('gzip'),
      against: cold,
      target: 0.15,
    },
    { name: 'floor of a new blob: sha256 of a tar while its blob is sent', command: floor, against: cold },
  ])
}
