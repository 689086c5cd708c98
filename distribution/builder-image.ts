import { createReadStream } from 'node:fs'
import type { ImageConfig } from '../lifecycle/image/config.ts'
import type { LayerSource } from '../lifecycle/image/layer.ts'
import type { LayerEntry } from '../lifecycle/layers/tree/entries.ts'
import { layerSource } from '../lifecycle/layers/tree/pack.ts'
import type { Builder } from '../lifecycle/platform/builder.ts'
import type { ImagePlan } from '../lifecycle/platform/builders/image-plan.ts'
import { makeBuilder } from '../lifecycle/platform/builders/make-builder.ts'
import { root, tree } from '../lifecycle/platform/builders/module-layer.ts'
import type { StackImage } from '../lifecycle/stacks/create.ts'
import { baleVersion, lifecycleVersion } from '../lifecycle/version.ts'
import { apis, oldestApis } from './descriptor.ts'
import { lifecycleLayer } from './lifecycle-image.ts'

export interface BuilderImageParts {
  /** The assembled lifecycle. */
  readonly folder: string
  /** The folder of `bale` (cli.ts). It contains the run image, unless that is in a registry. */
  readonly cli: string
  readonly builder: Builder
  /** The build image of the stack. */
  readonly base: StackImage
  /** The names of the run image, in the format of `run.toml` and labels. */
  readonly runImage: { readonly image: string; readonly mirrors: readonly string[] }
}

/** The home of a job, for any user. Buildpacks get another one. */
const home = '/home/bale'
/** The directories that a build in a container of the image writes to: lifecycle/platform/container-workspace.ts. */
const written = ['/app', home, '/layers', '/workspace']

/** A builder image on the stack's build image, with the assembled lifecycle and `bale`, which can build in it. */
export function builderImage({ folder, cli, builder, base, runImage }: BuilderImageParts): ImagePlan {
  const packages: LayerSource = { kind: 'source', createdBy: 'Debian packages', tar: () => createReadStream(base.tar) }
  const plan = makeBuilder({
    ...builder,
    base: { layers: [packages], config: base.config },
    runImage,
    lifecycle: { layer: lifecycleLayer(folder), metadata: { version: lifecycleVersion, api: oldestApis, apis } },
    writable: ['/app', home],
    top: [cliLayer(cli)],
  })
  return { ...plan, config: layers => forJobs(plan.config(layers)) }
}

/** Adds settings for jobs in a container of the image, with any user. */
function forJobs(config: ImageConfig): ImageConfig {
  return {
    ...config,
    config: {
      ...config.config,
      Env: [...(config.config?.Env ?? []).filter(e => !e.startsWith('HOME=')), `HOME=${home}`],
      // Volumes are writable for any user, even if the root file system is read-only.
      Volumes: Object.fromEntries(written.map(path => [path, {}])),
    },
  }
}

/** `bale`, on the PATH, and under the name of the program that a kaniko job starts. */
function cliLayer(dir: string): LayerSource {
  const link = (imagePath: string, target: string): LayerEntry => ({ kind: 'symlink', imagePath, target, ...root })
  return layerSource(`Bale ${baleVersion}`, [
    ...tree(dir, '/cnb/bale'),
    { kind: 'directory', imagePath: '/kaniko', mode: 0o755, ...root },
    // Jobs write their config.json there, with any user id.
    { kind: 'directory', imagePath: '/kaniko/.docker', mode: 0o777, ...root },
    link('/kaniko/executor', '../cnb/bale/executor'),
    link('/usr/local/bin/bale', '/cnb/bale/bale'),
  ])
}
