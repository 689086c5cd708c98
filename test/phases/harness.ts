import { join } from 'node:path'
import type { BuildEvent, Reporter } from '../../lifecycle/events.ts'
import { BuildpacksDir } from '../../lifecycle/phases/buildpacks-dir.ts'
import type { BuildInput } from '../../lifecycle/phases/build.ts'
import type { DetectInput } from '../../lifecycle/phases/detect.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import type { Order, ResolvedPlan } from '../../lifecycle/spec/types.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'

/** Every SBOM format that there is. */
const formats = '["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json"]'

/** A buildpack made of two shell scripts; `toml` goes into its descriptor, and may declare other SBOM formats. */
export function buildpack(id: string, scripts: { detect?: string; build?: string; toml?: string; api?: string }): Tree {
  const dir = `buildpacks/${id.replaceAll('/', '_')}/1.0.0`
  return {
    [`${dir}/buildpack.toml`]:
      `api = "${scripts.api ?? '0.11'}"\n[buildpack]\nid = "${id}"\nversion = "1.0.0"\n${scripts.toml ?? ''}`.replace(
        /(version = "1\.0\.0"\n)(?![\s\S]*sbom-formats)/,
        `$1sbom-formats = ${formats}\n`,
      ),
    [`${dir}/bin/detect`]: { script: scripts.detect ?? 'exit 0' },
    [`${dir}/bin/build`]: { script: scripts.build ?? 'exit 0' },
  }
}

export const order = (...groups: (string | { id: string; optional: true })[][]): Order => ({
  groups: groups.map(group =>
    group.map(m => (typeof m === 'string' ? { id: m, version: '1.0.0', optional: false } : { ...m, version: '1.0.0' })),
  ),
  extensions: [],
})

/** Remembers what was said. */
export function recorder(): Reporter & { readonly events: BuildEvent[] } {
  const events: BuildEvent[] = []
  return { events, event: event => void events.push(event), async close() {} }
}

export async function detectInput(
  root: string,
  tree: Tree,
  ordered: Order,
): Promise<DetectInput & { reporter: ReturnType<typeof recorder> }> {
  await writeTree(root, { 'workspace/.keep': '', 'platform/env/.keep': '', ...tree })
  return {
    layersDir: join(root, 'layers'),
    appDir: join(root, 'workspace'),
    platformDir: join(root, 'platform'),
    order: ordered,
    buildpacks: new BuildpacksDir(join(root, 'buildpacks')),
    extensions: new BuildpacksDir(join(root, 'extensions'), 'extension'),
    target: { os: 'linux', arch: 'amd64', distro: { name: 'debian', version: '13' } },
    execEnv: 'production',
    env: { inherited: { PATH: '/usr/bin:/bin', HOME: root }, user: [], operator: [] },
    reporter: recorder(),
  }
}

export async function buildInput(
  root: string,
  tree: Tree,
  ids: readonly string[],
  plan: ResolvedPlan = { entries: [] },
) {
  const {
    order: _order,
    extensions: _extensions,
    ...common
  } = await detectInput(root, { 'layers/.keep': '', ...tree }, order([]))
  const input: BuildInput = {
    ...common,
    group: ids.map(id => ({ id, version: '1.0.0', api: '0.11' })),
    plan,
    features: requirePlatformApi('0.12'),
  }
  return { ...input, reporter: common.reporter }
}
