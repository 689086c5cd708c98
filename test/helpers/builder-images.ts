import { execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageConfig } from '../../lifecycle/image/config.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { Layer, LayerSource } from '../../lifecycle/image/layer.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { type Tree, writeTree } from './tree.ts'

// Builder images in the shape of others, from a literal. Their build image is the least that runs a shell: the machine's own
// programs and libraries.

/** A buildpack of shell scripts, as a tree to put below /cnb/buildpacks. */
export function shellBuildpack(
  id: string,
  version: string,
  parts: { api?: string; detect?: string; build?: string; toml?: string; order?: string } = {},
): Tree {
  const dir = `cnb/buildpacks/${id.replaceAll('/', '_')}/${version}`
  const { api = '0.10', detect = 'exit 0', build = 'exit 0', toml = '', order } = parts
  const head = `api = "${api}"\n[buildpack]\nid = "${id}"\nversion = "${version}"\n${toml}`
  if (order !== undefined) return { [`${dir}/buildpack.toml`]: `${head}\n${order}` }
  return {
    [`${dir}/buildpack.toml`]: head,
    [`${dir}/bin/detect`]: { script: detect },
    [`${dir}/bin/build`]: { script: build },
  }
}

export interface ForeignBuilder {
  /** Each is a layer. */
  readonly layers: readonly Tree[]
  readonly env?: readonly string[]
  readonly labels?: Readonly<Record<string, unknown>>
  readonly user?: string
  readonly architecture?: string
  /** Lays out the root file system in a directory: by default, that of `shellRoot`. */
  readonly root?: (dir: string) => Promise<void>
}

/** Programs that shell buildpacks use. */
const programs = [
  'sh',
  'bash',
  'cat',
  'cp',
  'env',
  'id',
  'ls',
  'mkdir',
  'mkfifo',
  'chmod',
  'chown',
  'mknod',
  'mv',
  'sleep',
  'stat',
  'rm',
  'touch',
  'grep',
  'sed',
  'head',
  'uname',
  'sort',
]

/** A root file system with a shell. */
async function shellRoot(dir: string): Promise<void> {
  const script = `
    set -e; cd "$1"; shift; mkdir -p usr/bin usr/lib usr/lib64 etc home tmp var/tmp
    ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64
    for name in "$@"; do
      path=$(readlink -f "$(command -v $name)"); cp "$path" usr/bin/$name
      for library in $(ldd "$path" | grep -o '/[^ ]*'); do
        cp -L --parents "$library" .
      done
    done
    echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; echo 'cnb:x:1234:5678::/home/cnb:/bin/sh' >> etc/passwd
    echo 'root:x:0:' > etc/group; echo 'cnb:x:5678:' >> etc/group
    printf 'ID=ubuntu\\nVERSION_ID="22.04"\\n' > etc/os-release`
  await mkdir(dir, { recursive: true })
  execFileSync('sh', ['-c', script, 'sh', dir, ...programs], { env: { PATH: process.env['PATH'] ?? '' } })
}

/** The files of a directory as a layer, owned by root. */
function layerOfDirectory(dir: string, createdBy: string): LayerSource {
  const tar = execFileSync('tar', ['--create', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-C', dir, '.'], {
    maxBuffer: 1 << 29,
  })
  return {
    kind: 'source',
    createdBy,
    async *tar() {
      await Promise.resolve()
      yield tar
    },
  }
}

/** Makes the image in an OCI layout below `dir`, named `oci:DIR/builder:latest`. */
export async function makeBuilderImage(dir: string, builder: ForeignBuilder): Promise<string> {
  const store = layoutStore(join(dir, 'builder'))
  const work = join(dir, 'work')
  await (builder.root ?? shellRoot)(join(work, 'root'))
  const sources = [layerOfDirectory(join(work, 'root'), 'base')]
  for (const [n, tree] of builder.layers.entries()) {
    await writeTree(join(work, String(n)), tree)
    sources.push(layerOfDirectory(join(work, String(n)), `layer ${n}`))
  }
  const layers: Layer[] = []
  for (const source of sources) layers.push(await store.putLayer(source))
  const { env = ['CNB_USER_ID=1234', 'CNB_GROUP_ID=5678'], labels = {}, user = '1234:5678' } = builder
  await store.putImage(makeImage(configOf({ env, labels, user, architecture: builder.architecture }), layers), [
    'latest',
  ])
  await rm(work, { recursive: true })
  return `oci:${join(dir, 'builder')}:latest`
}

/** A minimal run image in an OCI layout: `oci:DIR/run:latest`. */
export async function makeRunImage(
  dir: string,
  labels: Readonly<Record<string, unknown>> = {},
  { root = shellRoot, architecture }: Pick<ForeignBuilder, 'root' | 'architecture'> = {},
): Promise<string> {
  const store = layoutStore(join(dir, 'run'))
  const work = join(dir, 'run-work')
  await root(work)
  await writeFile(join(work, 'etc', 'run-image'), 'yes\n')
  const layer = await store.putLayer(layerOfDirectory(work, 'run image'))
  await store.putImage(makeImage(configOf({ env: [], labels, user: '1234:5678', architecture }), [layer]), ['latest'])
  await rm(work, { recursive: true })
  return `oci:${join(dir, 'run')}:latest`
}

function configOf(parts: {
  env: readonly string[]
  labels: Readonly<Record<string, unknown>>
  user: string
  architecture?: string | undefined
}): ImageConfig {
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
  return {
    os: 'linux',
    architecture: parts.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    config: {
      User: parts.user,
      Env: ['PATH=/usr/bin:/bin', ...parts.env],
      Labels: Object.fromEntries(Object.entries(parts.labels).map(([name, value]) => [name, text(value)])),
    },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  }
}

/** The value of `io.buildpacks.builder.metadata` in a builder that pack made. */
export function builderMetadata(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    description: 'A builder',
    buildpacks: [],
    stack: { runImage: { image: 'registry.invalid/run', mirrors: [] } },
    lifecycle: {
      version: '0.20.5',
      api: { buildpack: '0.7', platform: '0.7' },
      apis: {
        buildpack: { deprecated: [], supported: ['0.7', '0.8', '0.9', '0.10', '0.11'] },
        platform: { deprecated: [], supported: ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12', '0.13'] },
      },
    },
    createdBy: { name: 'Pack CLI', version: '0.36.0' },
    ...more,
  }
}
