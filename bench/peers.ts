import { delimiter, join } from 'node:path'
import { isInstalled, startDocker } from '../test/helpers/daemons.ts'
import type { Bench } from './bench.ts'
import { quote, shell } from './measure.ts'

/** Another builder, which builds and pushes a Dockerfile that copies `$ROUND/context`. */
export interface Peer {
  readonly name: string
  /** The command, for the first build of a round and for those after it. */
  readonly cold: string
  readonly again: string
  /** The builder deletes its copies of the tree after the build. */
  readonly deletes: boolean
}

/** The builders that are available on this machine, and the reasons why others are not. */
export async function startPeers({ dir, ends }: Bench, registry: string) {
  await shell('printf "FROM scratch\\nCOPY . /tree\\n" >Containerfile', dir)
  const args = '-f Containerfile "$ROUND/context"'
  const [peers, missing]: [Peer[], string[]] = [[], []]

  if (isInstalled('buildah')) {
    const buildah = `buildah --root "$ROUND/buildah" --runroot "$ROUND/buildah-run" --storage-driver vfs`
    const to = `docker://${registry}/\${ROUND##*/}/buildah`
    const build = `${buildah} bud --isolation chroot --layers -q -t bench ${args} && ${buildah} push -q --tls-verify=false bench ${to}`
    peers.push({ name: 'buildah', cold: build, again: build, deletes: true })
  } else missing.push('buildah: it is not installed')

  const docker = await startDocker()
  if (docker.state === 'missing') return { peers, missing: [...missing, `BuildKit: ${docker.reason}`] }
  const { socketPath } = ends.adopt(docker.value, daemon => daemon.stop())
  const program = await dockerWithBuildKit(socketPath, dir)
  if (program !== undefined) {
    const client = `DOCKER_BUILDKIT=1 ${program} --host unix://${socketPath}`
    const tag = `${registry}/\${ROUND##*/}/buildkit`
    const build = (flags: string): string => `${client} build -q ${flags} -t ${tag} ${args} && ${client} push -q ${tag}`
    // All rounds use the same daemon, but it caches a context by its path.
    peers.push({ name: 'BuildKit', cold: build('--no-cache'), again: build(''), deletes: false })
  } else missing.push('BuildKit: no docker client on PATH builds with it')
  return { peers, missing }
}

/** Docker's client includes BuildKit up to version 22; later ones need a plugin. @returns a word for the shell */
export async function dockerWithBuildKit(socketPath: string, dir: string): Promise<string | undefined> {
  await shell(
    'mkdir -p probe && touch probe/file && printf "FROM scratch\\nCOPY . /probe\\n" >probe.Containerfile',
    dir,
  )
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = quote(join(folder, 'docker'))
    const build = `DOCKER_BUILDKIT=1 ${program} --host unix://${socketPath} build -q -f probe.Containerfile probe`
    if ((await shell(`${build} || true`, dir)).includes('sha256:')) return program
  }
  return undefined
}
