import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import type { Platform } from '../../image/manifest.ts'
import type { LayerEntry } from '../../layers/tree/entries.ts'
import { layerSource } from '../../layers/tree/pack.ts'
import * as read from '../../spec/read.ts'
import type { Metadata } from '../../spec/types.ts'
import { hostPlatform } from '../../stores/settings.ts'
import { lifecycleVersion } from '../../version.ts'
import type { Distribution } from '../distribution.ts'
import { unpackArchive } from './archive.ts'
import { apis, oldestApis } from './lifecycle-apis.ts'
import type { BuilderLifecycle } from './make-builder.ts'
import { nodeEntries, root } from './module-layer.ts'
import { nodeRuntime } from './node-runtime.ts'

/** The names under which the dispatcher runs (distribution/dispatcher); `node` is for buildpacks. */
const phaseNames = ['analyzer', 'builder', 'creator', 'detector', 'exporter', 'extender', 'rebaser', 'restorer', 'node']

/**
 * Bale's own lifecycle as /cnb/lifecycle: its phases with the Node that runs this program. It needs no files of the image.
 * @throws BaleError for another architecture than this machine's
 */
export async function ownLifecycle(distribution: Distribution, platform: Platform): Promise<BuilderLifecycle> {
  const here = hostPlatform().architecture
  if (platform.architecture !== here)
    throw new BaleError(
      'arguments',
      `this Bale includes its lifecycle for linux/${here}, not for ${platform.architecture}`,
      {
        fix: 'give a lifecycle tarball for that platform in builder.toml: [lifecycle] uri = "…"; npm run dist makes them',
      },
    )
  const { lifecycleDir } = distribution
  const { node: dispatcher = '', ...runtime } = nodeRuntime(distribution)
  const files: Record<string, string> = {
    ...Object.fromEntries((await readdir(lifecycleDir)).map(name => [name, join(lifecycleDir, name)])),
    ...runtime,
    lifecycle: dispatcher,
    supervisor: join(distribution.root, 'runtime', 'supervisor'),
    launcher: distribution.launcher(here),
  }
  const links = phaseNames.map((name): LayerEntry => {
    return { kind: 'symlink', imagePath: `/cnb/lifecycle/${name}`, target: 'lifecycle', ...root }
  })
  return {
    layer: layerSource(`Bale's lifecycle ${lifecycleVersion}`, [
      { kind: 'directory', imagePath: '/cnb', mode: 0o755, ...root },
      ...nodeEntries(files, '/cnb/lifecycle'),
      ...links,
    ]),
    metadata: { version: lifecycleVersion, api: oldestApis, apis },
  }
}

/**
 * A lifecycle tarball: lifecycle.toml, and binaries in lifecycle/ (buildpacks RFC 0049).
 * @throws BaleError 'input' for an invalid archive
 */
export async function packedLifecycle(
  path: string,
  { cacheDir, distribution, platform }: { cacheDir: string; distribution: Distribution; platform: Platform },
  signal: AbortSignal,
): Promise<BuilderLifecycle> {
  const dir = await unpackArchive(path, cacheDir, signal).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new BaleError('arguments', 'there is no lifecycle tarball', { where: path, fix: 'correct [lifecycle] uri' })
  })
  const toml = await readFile(join(dir, 'lifecycle.toml')).catch((cause: unknown) => {
    throw new BaleError('input', 'the archive is not a lifecycle: it has no lifecycle.toml', { where: path, cause })
  })
  const metadata = readLifecycleToml(toml, `${path} lifecycle.toml`)
  const names = await readdir(join(dir, 'lifecycle'), { withFileTypes: true })
  const hasNode = names.some(({ name }) => name === 'node')
  return {
    layer: layerSource(`Lifecycle ${String(metadata['version'])}`, [
      { kind: 'directory', imagePath: '/cnb', mode: 0o755, ...root },
      { kind: 'tree', imagePath: '/cnb/lifecycle', hostPath: join(dir, 'lifecycle'), ...root },
    ]),
    metadata,
    node: hasNode || platform.architecture !== hostPlatform().architecture ? undefined : nodeRuntime(distribution),
  }
}

function readLifecycleToml(content: Uint8Array, where: string): Metadata {
  const document = read.readToml(content, where)
  const lifecycle = read.table(document, 'lifecycle')
  if (lifecycle === undefined) throw read.missing(document, 'lifecycle')
  const api = read.table(document, 'api')
  const both = read.table(document, 'apis')
  const listOf = (kind: string) => {
    const node = both && read.table(both, kind)
    return node && { deprecated: read.texts(node, 'deprecated'), supported: read.texts(node, 'supported') }
  }
  return {
    version: read.requiredText(lifecycle, 'version'),
    ...(api && { api: { buildpack: read.text(api, 'buildpack'), platform: read.text(api, 'platform') } }),
    ...(both && { apis: { buildpack: listOf('buildpack'), platform: listOf('platform') } }),
  }
}
