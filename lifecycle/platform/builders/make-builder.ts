import { type ImageConfig, envOf } from '../../image/config.ts'
import { layerHistory } from '../../image/history.ts'
import type { Layer, LayerSource } from '../../image/layer.ts'
import type { LayerEntry } from '../../layers/tree/entries.ts'
import { layerSource } from '../../layers/tree/pack.ts'
import { builderLabels } from '../../spec/builder-labels.ts'
import { formatToml } from '../../spec/toml.ts'
import type { BuildpackDescriptor, Metadata, Order, RunDocument } from '../../spec/types.ts'
import { baleVersion } from '../../version.ts'
import { type BuildConfigVariable, buildConfigFiles } from '../builder.ts'
import type { ImagePlan } from './image-plan.ts'
import { type LocalModule, buildpackLayersLabel, moduleLayer, nodeEntries, orderOf, root } from './module-layer.ts'
import type { Files } from './node-runtime.ts'

export interface BuilderParts {
  readonly description: string
  readonly buildpacks: readonly LocalModule[]
  readonly extensions: readonly LocalModule[]
  readonly order: Order
  readonly buildConfig: readonly BuildConfigVariable[]
  /** The build image. */
  readonly base: { readonly layers: readonly (Layer | LayerSource)[]; readonly config: ImageConfig }
  /** The names of the run image, in the format of `run.toml` and labels. */
  readonly runImage: RunDocument['images'][number]
  readonly lifecycle: BuilderLifecycle
  /** Directories besides /layers and /workspace that builds write to. If there are any, all of them are writable for every user. */
  readonly writable?: readonly string[]
  /** Layers on top of all others. */
  readonly top?: readonly LayerSource[]
}

export interface BuilderLifecycle {
  /** /cnb/lifecycle */
  readonly layer: LayerSource
  /** `version`, `api` and `apis`, in the format of lifecycle.toml and labels. */
  readonly metadata: Metadata
  /** Node for buildpacks that need it, in /cnb/node, if the lifecycle does not include Node. */
  readonly node?: Files | undefined
}

/** The creation date of all images that Bale makes. SOURCE_DATE_EPOCH sets another one. */
export const created = '1980-01-01T00:00:01Z'

/**
 * Plans the image that platforms build in: a build image, the lifecycle, the buildpacks and their order (platform.md,
 * "Builder Image"; distribution.md). It has pack's labels, since platforms read them.
 */
export function makeBuilder(parts: BuilderParts): ImagePlan {
  const { base, lifecycle } = parts
  const { node } = lifecycle
  const modules = [...parts.buildpacks, ...parts.extensions].map(module => moduleLayer(module))
  const before = [
    directories(base.config, parts.writable),
    lifecycle.layer,
    ...(node === undefined ? [] : [layerSource('Node.js for buildpacks', [...nodeEntries(node, '/cnb/node')])]),
  ]
  const added = [...before, ...modules, settings(parts), ...(parts.top ?? [])]
  const first = base.layers.length + before.length
  const history = [...layerHistory(base), ...added.map(l => ({ created, created_by: l.createdBy }))]
  return {
    layers: [...base.layers, ...added],
    config: layers => ({
      ...base.config,
      created,
      config: {
        ...base.config.config,
        WorkingDir: '/layers',
        Labels: { ...base.config.config?.Labels, ...labels(parts, layers.slice(first, first + modules.length)) },
      },
      history,
    }),
  }
}

/** The directories of platform.md, "Builder Image", with their owners, and those that phases write to as the CNB user. */
function directories(config: ImageConfig, writable: readonly string[] = []): LayerSource {
  const user = { uid: Number(envOf(config, 'CNB_USER_ID')), gid: Number(envOf(config, 'CNB_GROUP_ID')) }
  // Platforms that assign user ids, such as OpenShift, do not announce them.
  const mode = writable.length > 0 ? 0o777 : 0o755
  const fixed = ['/cnb', '/cnb/build-config', '/cnb/build-config/env', '/cnb/buildpacks', '/cnb/extensions']
  const entries: LayerEntry[] = [
    ...[...fixed, '/platform', '/platform/env'].map((imagePath): LayerEntry => {
      return { kind: 'directory', imagePath, mode: 0o755, ...root }
    }),
    ...['/layers', '/workspace', ...writable].map((imagePath): LayerEntry => {
      return { kind: 'directory', imagePath, mode, ...user }
    }),
    { kind: 'symlink', imagePath: '/lifecycle', target: '/cnb/lifecycle', ...root },
  ]
  return layerSource(
    'Directories of a builder',
    entries.sort((a, b) => (a.imagePath < b.imagePath ? -1 : 1)),
  )
}

/** order.toml; run.toml, and stack.toml for platforms before API 0.12; the operator's variables. */
function settings({ order, runImage, buildConfig }: BuilderParts): LayerSource {
  const documents = {
    order: {
      order: orderOf(order.groups),
      ...(order.extensions.length > 0 && { 'order-extensions': extensionsOrder(order) }),
    },
    run: { images: [runImage] },
    stack: { 'run-image': runImage },
  }
  const file = (imagePath: string, text: string): LayerEntry => {
    return { kind: 'file', imagePath, mode: 0o644, content: Buffer.from(text), ...root }
  }
  return layerSource('The order of buildpacks, and the run image', [
    ...Object.entries(buildConfigFiles(buildConfig)).map(([name, text]) => file(`/cnb/build-config/env/${name}`, text)),
    ...Object.entries(documents).map(([name, content]) => file(`/cnb/${name}.toml`, formatToml(content))),
  ])
}

/** Extensions are always optional, so the order does not say it. */
const extensionsOrder = ({ extensions }: Order) =>
  orderOf(extensions.map(group => group.map(element => ({ ...element, optional: false }))))

function labels(parts: BuilderParts, layers: readonly Layer[]): Record<string, string> {
  const { description, order, runImage, lifecycle } = parts
  const [buildpacks, extensions] = [parts.buildpacks, parts.extensions].map(modules =>
    modules.map(({ descriptor }) => descriptor),
  ) as [BuildpackDescriptor[], BuildpackDescriptor[]]
  // `pack builder inspect` shows names from here.
  const named = ({ id, version, name, homepage }: BuildpackDescriptor) => {
    return { id, version, ...(name && { name }), ...(homepage && { homepage }) }
  }
  const metadata = {
    description,
    buildpacks: buildpacks.map(named),
    extensions: extensions.map(named),
    stack: { runImage },
    images: [runImage],
    lifecycle: lifecycle.metadata,
    createdBy: { name: 'Bale', version: baleVersion },
  }
  return {
    [builderLabels.metadata]: JSON.stringify(metadata),
    [builderLabels.layers]: JSON.stringify(buildpackLayersLabel(buildpacks, layers)),
    [builderLabels.order]: JSON.stringify(orderOf(order.groups)),
    // Without this label, Tekton's task assumes that the builder has image extensions.
    [builderLabels.extensionLayers]: JSON.stringify(buildpackLayersLabel(extensions, layers.slice(buildpacks.length))),
    ...(order.extensions.length > 0 && { [builderLabels.orderExtensions]: JSON.stringify(extensionsOrder(order)) }),
  }
}
