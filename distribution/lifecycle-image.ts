import { join } from 'node:path'
import { layerSource } from '../lifecycle/layers/tree/pack.ts'
import type { LayerEntry } from '../lifecycle/layers/tree/entries.ts'
import type { ImageConfig } from '../lifecycle/image/config.ts'
import type { LayerSource } from '../lifecycle/image/layer.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'
import { apis, oldestApis } from './descriptor.ts'
import type { Arch } from './machine.ts'
import type { ImagePlan } from '../lifecycle/platform/builders/image-plan.ts'

export const created = '1980-01-01T00:00:01Z'
export const root = { uid: 0, gid: 0 }

/**
 * The image with a lifecycle and almost nothing else: it needs no base, and missing programs have no vulnerabilities.
 * pack runs analyzer, restorer and exporter in it, as root, and kpack copies its last layer into builders.
 * @param folder the assembled lifecycle
 */
export function lifecycleImage(arch: Arch, folder: string): ImagePlan {
  const layers = [layerSource('Users and a place for temporary files', baseEntries()), lifecycleLayer(folder)]
  const config: ImageConfig = {
    created,
    architecture: arch,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      WorkingDir: '/layers',
      Labels: labels(),
    },
    rootfs: { type: 'layers', diff_ids: [] },
    history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  }
  return { layers, config: () => config }
}

/** /cnb/lifecycle, in lifecycle and builder images. */
export function lifecycleLayer(folder: string): LayerSource {
  return layerSource(`Bale's lifecycle ${lifecycleVersion}`, [
    { kind: 'directory', imagePath: '/cnb', mode: 0o755, ...root },
    { kind: 'tree', imagePath: '/cnb/lifecycle', hostPath: join(folder, 'lifecycle'), ...root },
  ])
}

/** The version and supported APIs, for platforms that read only the image's labels. */
function labels(): Record<string, string> {
  return {
    'io.buildpacks.builder.metadata': JSON.stringify({ lifecycle: { version: lifecycleVersion }, api: oldestApis }),
    'io.buildpacks.lifecycle.apis': JSON.stringify(apis),
    'io.buildpacks.lifecycle.version': lifecycleVersion,
    'org.opencontainers.image.title': "Bale's lifecycle",
    'org.opencontainers.image.version': lifecycleVersion,
  }
}

/** The files that container engines (for user names) and libc (for host names: /etc/hosts first) look up. */
function baseEntries(): LayerEntry[] {
  const file = (imagePath: string, text: string): LayerEntry => {
    return { kind: 'file', imagePath, mode: 0o644, content: Buffer.from(text), ...root }
  }
  return [
    { kind: 'directory', imagePath: '/etc', mode: 0o755, ...root },
    file('/etc/group', 'root:x:0:\n'),
    file('/etc/nsswitch.conf', 'hosts: files dns\n'),
    file('/etc/passwd', 'root:x:0:0:root:/root:/sbin/nologin\n'),
    { kind: 'directory', imagePath: '/root', mode: 0o700, ...root },
    { kind: 'directory', imagePath: '/tmp', mode: 0o1777, ...root },
  ]
}
