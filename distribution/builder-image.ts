import { createReadStream, readdirSync, readlinkSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { StackImage } from '../lifecycle/stacks/create.ts'
import type { Builder } from '../lifecycle/platform/builder.ts'
import { BaleError } from '../lifecycle/errors.ts'
import { envOf, type ImageConfig } from '../lifecycle/image/config.ts'
import type { Layer, LayerSource } from '../lifecycle/image/layer.ts'
import type { LayerEntry } from '../lifecycle/layers/tree/entries.ts'
import { layerSource } from '../lifecycle/layers/tree/pack.ts'
import { escapeId } from '../lifecycle/spec/ids.ts'
import { formatToml } from '../lifecycle/spec/toml.ts'
import type { BuildpackDescriptor, BuildpackTarget, OrderElement } from '../lifecycle/spec/types.ts'
import { baleVersion, lifecycleVersion } from '../lifecycle/version.ts'
import { apis, oldestApis } from './descriptor.ts'
import { created, lifecycleLayer, root } from './lifecycle-image.ts'
import type { ImagePlan } from './oci-archive.ts'

export interface BuilderParts {
  /** The assembled lifecycle. */
  readonly folder: string
  /** The folder of `bale` (cli.ts), with the run image in it unless a registry has that. */
  readonly cli: string
  readonly builder: Builder
  /** The build image of the stack. */
  readonly base: StackImage
  /** Its name for the platform that will use the builder, as `run.toml` and labels have it. */
  readonly runImage: { readonly image: string; readonly mirrors: readonly string[] }
}

/**
 * The image that platforms build in: the stack's build image, the lifecycle, the buildpacks and what to do with them
 * (platform.md, "Builder Image"; distribution.md). Labels are pack's, since platforms read them.
 */
export function builderImage(parts: BuilderParts): ImagePlan {
  const { base, builder, folder } = parts
  const buildpacks = builder.buildpacks.map(({ descriptor, dir }) => buildpackLayer(descriptor, dir))
  const added = [directories(base.config), lifecycleLayer(folder), ...buildpacks, settings(parts), cliLayer(parts.cli)]
  const packages: LayerSource = { kind: 'source', createdBy: 'Debian packages', tar: () => createReadStream(base.tar) }
  const history = [...(base.config.history ?? []), ...added.map(l => ({ created, created_by: l.createdBy }))]
  return {
    layers: [packages, ...added],
    config: layers => ({
      ...base.config,
      created,
      config: {
        ...base.config.config,
        WorkingDir: '/layers',
        Env: [...(base.config.config?.Env ?? []).filter(e => !e.startsWith('HOME=')), `HOME=${home}`],
        // Writable where the root file system is not, for any user.
        Volumes: Object.fromEntries(written.map(path => [path, {}])),
        Labels: { ...base.config.config?.Labels, ...labels(parts, layers.slice(3, 3 + buildpacks.length)) },
      },
      history,
    }),
  }
}

/** The home of a job, whoever its user is. Buildpacks get another one. */
const home = '/home/bale'
/** What a build in a container of the image writes to: lifecycle/platform/container-workspace.ts. */
const written = ['/app', home, '/layers', '/workspace']

/** Who owns what: platform.md, "Builder Image", and what phases running as the CNB user have to write to. */
function directories(config: ImageConfig): LayerSource {
  const user = { uid: Number(envOf(config, 'CNB_USER_ID')), gid: Number(envOf(config, 'CNB_GROUP_ID')) }
  const directory = (imagePath: string, owner = root, mode = 0o755): LayerEntry => {
    return { kind: 'directory', imagePath, mode, ...owner }
  }
  // Platforms that assign user ids, as OpenShift does, do not say which.
  const open = 0o777
  return layerSource('Directories of a builder', [
    directory('/app', user, open),
    ...['/cnb', '/cnb/build-config', '/cnb/build-config/env', '/cnb/buildpacks', '/cnb/extensions'].map(p =>
      directory(p),
    ),
    directory(home, user, open),
    directory('/layers', user, open),
    { kind: 'symlink', imagePath: '/lifecycle', target: '/cnb/lifecycle', ...root },
    ...['/platform', '/platform/env'].map(p => directory(p)),
    directory('/workspace', user, open),
  ])
}

/** `bale`, on the PATH, and under the name by which a job of kaniko's starts its program. */
function cliLayer(dir: string): LayerSource {
  const link = (imagePath: string, target: string): LayerEntry => ({ kind: 'symlink', imagePath, target, ...root })
  return layerSource(`Bale ${baleVersion}`, [
    ...tree(dir, '/cnb/bale'),
    { kind: 'directory', imagePath: '/kaniko', mode: 0o755, ...root },
    // Jobs write their config.json there, as users that nobody knows beforehand.
    { kind: 'directory', imagePath: '/kaniko/.docker', mode: 0o777, ...root },
    link('/kaniko/executor', '../cnb/bale/executor'),
    link('/usr/local/bin/bale', '/cnb/bale/bale'),
  ])
}

function buildpackLayer({ id, version }: BuildpackDescriptor, dir: string): LayerSource {
  const parent = `/cnb/buildpacks/${escapeId(id)}`
  return layerSource(`Buildpack ${id}@${version}`, [
    { kind: 'directory', imagePath: parent, mode: 0o755, ...root },
    ...tree(dir, `${parent}/${version}`),
  ])
}

/** A directory with all below it, readable for all and writable for none but root, whatever the umask of the checkout was. */
function* tree(hostPath: string, imagePath: string): Generator<LayerEntry> {
  yield { kind: 'directory', imagePath, mode: 0o755, ...root }
  const entries = readdirSync(hostPath, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const place = { hostPath: join(hostPath, entry.name), imagePath: `${imagePath}/${entry.name}` }
    if (entry.isDirectory()) {
      yield* tree(place.hostPath, place.imagePath)
    } else if (entry.isFile()) {
      const mode = (statSync(place.hostPath).mode & 0o100) === 0 ? 0o644 : 0o755
      yield { kind: 'host-file', mode, ...place, ...root }
    } else {
      const target = readlinkSync(place.hostPath)
      if (isAbsolute(target))
        throw new BaleError('input', `a link in a buildpack leads out of it, to ${target}`, { where: place.hostPath })
      yield { kind: 'symlink', imagePath: place.imagePath, target, ...root }
    }
  }
}

/** order.toml; run.toml, and stack.toml for platforms before API 0.12. */
function settings({ builder, runImage }: BuilderParts): LayerSource {
  const files = {
    order: { order: order(builder) },
    run: { images: [runImage] },
    stack: { 'run-image': runImage },
  }
  return layerSource(
    'The order of buildpacks, and the run image',
    Object.entries(files).map(([name, content]) => ({
      kind: 'file',
      imagePath: `/cnb/${name}.toml`,
      mode: 0o644,
      content: Buffer.from(formatToml(content)),
      ...root,
    })),
  )
}

const order = ({ order: { groups } }: Builder) => groups.map(group => ({ group: group.map(element) }))

function element({ id, version, optional }: OrderElement) {
  return { id, version, ...(optional && { optional }) }
}

const target = ({ distros, ...platform }: BuildpackTarget) => ({ ...platform, ...(distros.length > 0 && { distros }) })

function labels({ builder, runImage }: BuilderParts, layers: readonly Layer[]): Record<string, string> {
  const descriptors = builder.buildpacks.map(({ descriptor }) => descriptor)
  const byVersion: Record<string, Record<string, unknown>> = {}
  descriptors.forEach((descriptor, i) => {
    const { id, version, api, name, homepage, stacks, targets, order } = descriptor
    byVersion[id] = {
      ...byVersion[id],
      [version]: {
        api,
        ...(stacks.length > 0 && { stacks: stacks.map(stack => ({ id: stack })) }),
        ...(targets.length > 0 && { targets: targets.map(target) }),
        order: order?.map(group => ({ group: group.map(element) })),
        layerDiffID: layers[i]?.diffId,
        homepage,
        name,
      },
    }
  })
  const metadata = {
    description: builder.description,
    buildpacks: descriptors.map(({ id, version, homepage }) => ({ id, version, ...(homepage && { homepage }) })),
    extensions: [],
    stack: { runImage },
    images: [runImage],
    lifecycle: { version: lifecycleVersion, api: oldestApis, apis },
    createdBy: { name: 'Bale', version: baleVersion },
  }
  return {
    'io.buildpacks.builder.metadata': JSON.stringify(metadata),
    'io.buildpacks.buildpack.layers': JSON.stringify(byVersion),
    'io.buildpacks.buildpack.order': JSON.stringify(order(builder)),
    // Where it is missing, Tekton's task takes the builder for one with image extensions.
    'io.buildpacks.extension.layers': '{}',
  }
}
