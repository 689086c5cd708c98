import { delimiter, join } from 'node:path'
import { isInstalled, startDocker } from '../test/helpers/daemons.ts'
import type { Bench } from './index.ts'
import { quote, shell } from './measure.ts'

/** Another builder: its commands build and push a Dockerfile that copies the tree. */
export interface Peer {
  readonly name: string
  readonly commands: Readonly<Record<'cold' | 'nothing changed' | 'one file changed', string>>
}

/** Those that can be had here, and why others cannot. */
export async function startPeers({ dir, tree }: Bench, registry: string) {
  shell('printf "FROM scratch\\nCOPY . /tree\\n" >Containerfile', dir)
  const context = quote(tree().path)
  const [peers, missing]: [Peer[], string[]] = [[], []]

  if (isInstalled('buildah')) {
    const buildah = `buildah --root "$ROUND/buildah" --runroot "$ROUND/buildah-run" --storage-driver vfs`
    const build = `${buildah} bud --isolation chroot --layers -q -t bench -f Containerfile ${context}`
    peers.push(peer('buildah', `${build} && ${buildah} push -q --tls-verify=false bench docker://${registry}/buildah`))
  } else missing.push('buildah is not installed')

  const docker = await startDocker()
  const client = docker.state === 'available' ? clientWithBuildKit(docker.value.socketPath) : undefined
  if (docker.state === 'available' && client !== undefined) {
    const run = `DOCKER_BUILDKIT=1 ${client} --host unix://${docker.value.socketPath}`
    const tag = `${registry}/buildkit`
    const build = `${run} build -q -t ${tag} -f Containerfile ${context} && ${run} push -q ${tag}`
    // Its daemon keeps its cache from round to round.
    const { commands } = peer('BuildKit', build)
    peers.push({ name: 'BuildKit', commands: { ...commands, cold: `${run} builder prune -af >/dev/null && ${build}` } })
  } else missing.push(docker.state === 'missing' ? docker.reason : 'no docker client here can build with BuildKit')
  return { peers, missing, stop: async () => (docker.state === 'available' ? docker.value.stop() : undefined) }
}

const peer = (name: string, build: string): Peer => ({
  name,
  commands: { cold: build, 'nothing changed': build, 'one file changed': build },
})

/** Docker's own client has BuildKit in it up to version 22; later ones need a plugin. */
function clientWithBuildKit(socketPath: string): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).map(dir => quote(join(dir, 'docker')))
  const works = (client: string): boolean =>
    shell(
      `test -x ${client} && printf 'FROM scratch\\nCOPY nothing /\\n' | DOCKER_BUILDKIT=1 ${client} --host unix://${socketPath} build -q -f - $(mktemp -d | tee dir && touch $(cat dir)/nothing) >/dev/null 2>&1 && echo yes || true`,
      '/tmp',
    ).includes('yes')
  return found.find(works)
}
