import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import type { ImageConfig } from '../../../lifecycle/image/config.ts'
import { type ManifestFormat, makeImage } from '../../../lifecycle/image/image.ts'
import { hostPlatform } from '../../../lifecycle/stores/settings.ts'
import { bytesOf, layerOf } from '../../helpers/images.ts'
import { type FakeRegistry, type RegistryOptions, startRegistry } from '../../helpers/registry.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { buildpack } from '../../phases/harness.ts'

/** A registry with a run image in it. */
export async function registryWithRun(
  config: Partial<ImageConfig> = {},
  options: RegistryOptions = {},
): Promise<FakeRegistry> {
  const registry = await startRegistry(options)
  onTestFinished(() => registry.close())
  await addRunImage(registry, 'run', config)
  return registry
}

export async function addRunImage(
  registry: FakeRegistry,
  repository: string,
  config: Partial<ImageConfig> = {},
  format: ManifestFormat = 'oci',
): Promise<string> {
  const layer = await layerOf({ '/etc/os-release': `ID=debian\nVERSION_ID=13\nNAME=${repository}\n` })
  const labels = { 'io.buildpacks.base.distro.name': 'debian', 'io.buildpacks.base.distro.version': '13' }
  const image = makeImage(
    {
      ...hostPlatform(),
      rootfs: { type: 'layers', diff_ids: [] },
      config: { Env: ['PATH=/usr/bin:/bin'], User: '1001', Cmd: ['bash'], Labels: labels },
      history: [{ created_by: 'debian' }],
      ...config,
    },
    [layer],
    format,
  )
  registry.addBlob(repository, await bytesOf(layer.open()))
  registry.addBlob(repository, image.configBytes)
  return registry.addManifest(
    repository,
    'latest',
    image.manifest.mediaType,
    Buffer.from(image.manifestBytes).toString(),
  )
}

/** Every path of a machine, for phase binaries on it. */
export function environmentOf(root: string, api: string): Record<string, string> {
  const path = (relative: string): string => join(root, relative)
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: root,
    CNB_PLATFORM_API: api,
    CNB_LAYERS_DIR: path('layers'),
    CNB_APP_DIR: path('workspace'),
    CNB_PLATFORM_DIR: path('platform'),
    CNB_BUILD_CONFIG_DIR: path('build-config'),
    CNB_BUILDPACKS_DIR: path('buildpacks'),
    CNB_ORDER_PATH: path('order.toml'),
    CNB_RUN_PATH: path('run.toml'),
    CNB_STACK_PATH: path('stack.toml'),
    CNB_CACHE_DIR: path('cache'),
    CNB_USER_ID: '1000',
    CNB_GROUP_ID: '1000',
    CNB_NO_COLOR: 'true',
    DOCKER_CONFIG: path('docker'),
  }
}

/** A machine with the directories that a platform makes, and a way to run phase binaries on it. */
export interface Machine {
  readonly root: string
  path(relative: string): string
  read(relative: string): Promise<string>
  /** New volumes for another build: caches and images stay. */
  renew(): Promise<void>
  /** Runs a phase binary, in this process, with every path of this machine in the environment. */
  run(name: string, args?: readonly string[], env?: Record<string, string | undefined>): Promise<Result>
}

export interface Result {
  readonly status: number
  readonly said: string
  readonly lines: readonly string[]
}

/** Its build takes the layers and processes of a small buildpack, whose scripts may be replaced. */
export async function machine(
  api: string,
  tree: Tree = {},
  scripts: Parameters<typeof buildpack>[1] = {},
): Promise<Machine> {
  const root = await temporaryDirectory()
  await writeTree(root, { ...machineTree(scripts), ...tree })
  const path = (relative: string): string => join(root, relative)
  return {
    root,
    path,
    read: relative => readFile(path(relative), 'utf8'),
    async renew() {
      await rm(path('layers'), { recursive: true })
      await mkdir(path('layers'))
    },
    async run(name, args = [], env = {}) {
      let said = ''
      const withLauncher = ['exporter', 'creator'].includes(name) ? [`-launcher=${path('lifecycle/launcher')}`] : []
      const status = await main(
        [name, ...withLauncher, ...args],
        { ...environmentOf(root, api), ...env },
        {
          write: text => void (said += text),
          user: { uid: 1000, gid: 1000 },
          signal: new AbortController().signal,
          become: () => {},
          program: binary => [`/cnb/lifecycle/${binary}`],
          supervisor: '/cnb/lifecycle/supervisor',
          landlock: '/nowhere/landlock',
          kanikoDir: path('kaniko'),
        },
      )
      return { status, said, lines: said.split('\n') }
    },
  }
}

export function machineTree(scripts: Parameters<typeof buildpack>[1] = {}): Tree {
  return {
    ...buildpack('test/app', { build: buildScript, ...scripts }),
    'order.toml': '[[order]]\n[[order.group]]\nid = "test/app"\nversion = "1.0.0"\n',
    'workspace/index.txt': 'hello',
    'platform/env/.keep': '',
    'build-config/env/.keep': '',
    layers: { dir: true },
    'lifecycle/launcher': { script: 'launch' },
  }
}

/** Layers of the kinds that matter: launch only, launch and cache, cache only, and what says which build it is. */
const buildScript = `set -e
layers="$CNB_LAYERS_DIR"
test -n "$layers" || layers="$1"
if test -f "$layers/modules.toml"; then printf 'reusing modules\\n'; else
  mkdir -p "$layers/modules" && printf 'm' > "$layers/modules/file"
fi
printf '[types]\\nlaunch = true\\n[metadata]\\nlock = "1"\\n' > "$layers/modules.toml"
printf '{"bomFormat":"CycloneDX","specVersion":"1.5"}' > "$layers/modules.sbom.cdx.json"
if test -d "$layers/both"; then printf 'both is restored\\n'; else mkdir "$layers/both"; printf 'b' > "$layers/both/file"; fi
printf '[types]\\nlaunch = true\\ncache = true\\n[metadata]\\nboth = true\\n' > "$layers/both.toml"
if test -d "$layers/tools"; then printf 'tools are restored\\n'; else mkdir "$layers/tools"; printf 't' > "$layers/tools/file"; fi
printf '[types]\\ncache = true\\nbuild = true\\n[metadata]\\n' > "$layers/tools.toml"
printf '[metadata]\\nruns = "%s"\\n' "$(test -f "$layers/store.toml" && echo again || echo first)" > "$layers/store.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["serve"]\\nargs = ["now"]\\ndefault = true\\n' > "$layers/launch.toml"`

export const phases = ['analyzer', 'detector', 'restorer', 'builder', 'exporter'] as const

/** All five phases, as a platform runs them; each must succeed. What each said. */
export async function runLine(
  m: Machine,
  image: string,
  flags: Partial<Record<(typeof phases)[number], readonly string[]>> = {},
  env: Record<string, string | undefined> = {},
): Promise<Record<(typeof phases)[number], Result>> {
  const results = {} as Record<(typeof phases)[number], Result>
  for (const name of phases) {
    const last = name === 'analyzer' || name === 'exporter' ? [image] : []
    results[name] = await m.run(name, [...(flags[name] ?? []), ...last], env)
    if (results[name].status !== 0)
      throw new Error(`${name} exited with ${results[name].status}: ${results[name].said}`)
  }
  return results
}

/** The image of that tag: its manifest and its config. */
export function stored(registry: FakeRegistry, repository: string, tag = 'latest') {
  const manifest = JSON.parse(registry.manifests.get(`${repository}:${tag}`)?.bytes.toString() ?? 'null') as {
    mediaType: string
    config: { digest: string; mediaType: string }
    layers: { digest: string; mediaType: string }[]
  }
  const config = JSON.parse(registry.blobs.get(manifest.config.digest)?.toString() ?? 'null') as ImageConfig
  const label = (name: string): unknown => JSON.parse(config.config?.Labels?.[`io.buildpacks.${name}`] ?? 'null')
  return { manifest, config, label }
}
