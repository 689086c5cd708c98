import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { putRunImage } from '../test/helpers/app-image.ts'
import { goLifecycle, goPhases } from '../test/helpers/go-lifecycle.ts'
import { isInstalled } from '../test/helpers/daemons.ts'
import { parseReference } from '../lifecycle/image/reference.ts'
import { anonymous } from '../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../lifecycle/stores/registry/store.ts'
import type { Bench } from './bench.ts'
import { type Row, type Task, compare, progress, quote, shell } from './measure.ts'

/** Makes a layer from the tree that is mounted at /tree. Does not change a restored layer. */
const binBuild = `#!/bin/sh
set -eu
test -e "$1/tree" || cp -a /tree "$1/tree"
printf '[types]\\nlaunch = true\\ncache = true\\n' >"$1/tree.toml"
`
const buildpackToml = 'api = "0.10"\n[buildpack]\nid = "bench/tree"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n'
const orderToml = '[[order]]\n[[order.group]]\nid = "bench/tree"\nversion = "1.0.0"\n'
/** The buildpacks' user. If an ordinary user measures, this is that user. */
const user = process.geteuid?.() === 0 ? 1000 : (process.geteuid?.() ?? 1000)

type Who = 'Bale' | 'Go'
type Cache = 'volume' | 'image'
interface Way {
  readonly tree: string
  readonly cache: Cache
  /** True: the five phases run as separate processes and pass files through a volume. False: creator runs. */
  readonly apart: boolean
}

/**
 * Compares the phase binaries, as pack and Tekton start them, with those of the Go lifecycle. Layers, source and cache are
 * separate mounts; layers and source are new for each build. The time excludes the start of containers. Each lifecycle has
 * its own image and cache, which do not exist in the first build of a round.
 */
export async function lifecycleRows(bench: Bench): Promise<Row[]> {
  const piece = 'lifecycle'
  const { dir, root, runs, tree } = bench
  const go = await goLifecycle()
  const lacking = go.state === 'missing' ? go.reason : isInstalled('bwrap') ? undefined : 'bwrap is not installed'
  if (go.state === 'missing' || lacking !== undefined)
    return [{ piece, name: 'phase binaries', note: `not measured: ${lacking}` }]
  progress('lifecycle: the distribution')
  const home = join(dir, 'lifecycles')
  await shell(`${quote(process.execPath)} ${quote(join(root, 'distribution/main.ts'))} --out dist lifecycle`, dir)
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
  for (const who of ['Bale', 'Go'] as const) prepare(join(home, who))
  cpSync(join(dir, `dist/linux-${arch}/lifecycle`), join(home, 'Bale/lifecycle'), {
    recursive: true,
    verbatimSymlinks: true,
  })
  mkdirSync(join(home, 'Go/lifecycle'))
  for (const name of ['lifecycle', 'launcher']) cpSync(join(go.value, name), join(home, 'Go/lifecycle', name))
  for (const name of goPhases) symlinkSync('lifecycle', join(home, 'Go/lifecycle', name))
  mkdirSync(join(dir, 'small'))
  writeFileSync(join(dir, 'small/file'), 'a layer of one file')
  const registry = await bench.registry()
  await pushRunImage(bench, registry)

  const command = (who: Who, way: Way): string => phases(join(home, who), who, way, registry)
  const sizes = { trivial: join(dir, 'small'), tree: tree().path }
  const tasks = Object.entries(sizes).flatMap(([size, path]) =>
    (['volume', 'image'] as const).flatMap(cache =>
      [false, true].flatMap(apart => {
        const what = `${size}, ${cache === 'image' ? 'a cache image' : 'a cache volume'}, ${apart ? 'five phases' : 'creator'}`
        return ['cold', 'unchanged'].flatMap((when): Task[] => {
          const of = (who: Who): Task => ({
            name: `${who}: ${what}, ${when}`,
            command: command(who, { tree: path, cache, apart }),
          })
          const target = size === 'tree' ? 0.5 : 1
          return [of('Go'), { ...of('Bale'), against: `Go: ${what}, ${when}`, target }]
        })
      }),
    ),
  )
  return compare(piece, dir, runs, tasks)
}

/** The files of a builder other than the phases. */
function prepare(home: string): void {
  const buildpack = join(home, 'buildpacks/bench_tree/1.0.0')
  for (const path of [join(buildpack, 'bin'), join(home, 'platform/env')]) mkdirSync(path, { recursive: true })
  writeFileSync(join(buildpack, 'buildpack.toml'), buildpackToml)
  for (const [name, script] of [
    ['detect', '#!/bin/sh\n'],
    ['build', binBuild],
  ] as const) {
    writeFileSync(join(buildpack, 'bin', name), script)
    chmodSync(join(buildpack, 'bin', name), 0o755)
  }
  writeFileSync(join(home, 'order.toml'), orderToml)
}

async function pushRunImage({ ends }: Bench, registry: string): Promise<void> {
  const opened = ends.adopt(openRegistry({ registry, credentials: anonymous }), open => open.close())
  await putRunImage(registryStore(parseReference(`${registry}/run`), { registry: opened }), 'latest')
}

/** A build in `$ROUND/<who>-<way>`, which keeps the cache between builds, with new directories for layers and source. */
function phases(home: string, who: Who, { tree, cache, apart }: Way, registry: string): string {
  const name = `${who.toLowerCase()}-${cache}-${apart ? 'apart' : 'creator'}-${tree.replace(/.*\//, '')}`
  const kept = cache === 'image' ? '-cache-image $IMAGE-cache' : '-cache-dir /cache'
  const ids = `-uid ${user} -gid ${user}`
  const asUser = process.geteuid?.() === 0 ? `setpriv --reuid ${user} --regid ${user} --clear-groups ` : ''
  const at = '/cnb/lifecycle'
  const commands = apart
    ? [
        `${at}/analyzer -run-image ${registry}/run ${ids} $IMAGE`,
        `${asUser}${at}/detector`,
        `${at}/restorer ${kept} ${ids}`,
        `${asUser}${at}/builder`,
        `${at}/exporter ${kept} ${ids} $IMAGE`,
      ]
    : [`${at}/creator -run-image ${registry}/run ${kept} ${ids} $IMAGE`]
  const own = (path: string): string => `"$build/${path}"`
  const mounts = [
    '--ro-bind /usr /usr --ro-bind /etc /etc --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64',
    '--dev /dev --bind /proc /proc --perms 1777 --dir /tmp --perms 0755 --dir /home --perms 0777 --dir /home/cnb',
    '--perms 0755 --dir /cnb',
    `--ro-bind ${quote(tree)} /tree`,
    ...['lifecycle', 'buildpacks', 'order.toml'].map(file => `--ro-bind ${quote(join(home, file))} /cnb/${file}`),
    `--ro-bind ${quote(join(home, 'platform'))} /platform`,
    `--bind ${own('layers')} /layers --bind ${own('app')} /workspace --bind "$kept" /cache`,
  ]
  const variables = {
    PATH: '/usr/bin:/bin',
    HOME: '/home/cnb',
    CNB_PLATFORM_API: '0.13',
    CNB_USER_ID: user,
    CNB_GROUP_ID: user,
  }
  const image = `--setenv IMAGE ${registry}/"\${ROUND##*/}"/${name}`
  const set = Object.entries(variables).map(([key, value]) => `--setenv ${key} ${value}`)
  const rights = process.geteuid?.() === 0 ? '--cap-add ALL' : ''
  return [
    `kept="$ROUND/${name}"; build="$kept-$RANDOM$RANDOM"`,
    `mkdir -p "$kept" ${own('layers')} ${own('app')} && echo hello >${own('app/hello.txt')}`,
    `{ test "$(id -u)" != 0 || chown -R ${user}:${user} "$kept" "$build"; }`,
    `bwrap ${mounts.join(' ')} --die-with-parent ${rights} --clearenv ${set.join(' ')} ${image} sh -ec ${quote(commands.join('\n'))} >"$build/log" 2>&1 || { cat "$build/log"; false; }`,
  ].join(' && ')
}
