import { isInstalled } from '../test/helpers/daemons.ts'
import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import type { Bench } from './index.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** The same tree in the hands of other builders: a Dockerfile that copies it, built and pushed. */
export async function peerRows({ dir, runs, tree, task }: Bench): Promise<Row[]> {
  const piece = 'peers'
  const rows: Row[] = []
  if (!hasBuildKit()) rows.push({ piece, name: 'BuildKit', note: 'not measured: docker buildx is not installed' })
  if (!isInstalled('buildah')) return [...rows, { piece, name: 'buildah', note: 'not measured: it is not installed' }]
  const registry = await startDockerRegistry({ secure: false })
  const base = 'bale, export to a registry'
  const storage = '--root "$PWD/buildah" --runroot "$PWD/buildah-run" --storage-driver vfs'
  try {
    shell('printf "FROM scratch\\nCOPY . /tree\\n" >Containerfile', dir)
    const build = `buildah ${storage} bud --isolation chroot --layers -q -t bench -f Containerfile ${quote(tree().path)}`
    const push = `buildah ${storage} push -q --tls-verify=false bench docker://${registry.host}/buildah`
    const commands = [
      {
        name: base,
        before: 'rm -rf cold',
        command: task('push', 'gzip', 'cold', `${registry.host}/bale`, tree().path),
      },
      { name: 'buildah, build and push', before: 'rm -rf buildah', command: `${build} && ${push}`, against: base },
      { name: 'buildah, nothing changed', command: `${build} && ${push}` },
    ]
    return [...rows, ...compare(piece, dir, runs, commands)]
  } finally {
    await registry.close()
  }
}

function hasBuildKit(): boolean {
  return (
    isInstalled('docker') && shell('docker buildx version >/dev/null 2>&1 && echo yes || true', '/').includes('yes')
  )
}
