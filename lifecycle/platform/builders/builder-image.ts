import { BaleError } from '../../errors.ts'
import { envOf, labelOf } from '../../image/config.ts'
import type { Image } from '../../image/image.ts'
import type { ModuleKind } from '../../phases/buildpacks-dir.ts'
import { parseBuildpack, parseExtension } from '../../spec/buildpack.ts'
import {
  type BuilderMetadata,
  builderLabels,
  parseBuilderMetadata,
  parseBuildpackLayers,
  parseOrderLabel,
} from '../../spec/builder-labels.ts'
import { escapeId } from '../../spec/ids.ts'
import { parseOrder } from '../../spec/order.ts'
import { parseRun, parseStack } from '../../spec/run.ts'
import type { BuildpackDescriptor, Order, RunDocument } from '../../spec/types.ts'
import { LayeredFiles } from './layered-files.ts'

/** The data in labels and variables of a builder image, available before any layer is read. */
export interface BuilderImage {
  readonly image: Image
  readonly metadata: BuilderMetadata
  readonly user: { readonly uid: number; readonly gid: number }
}

/** The data in the files of a builder image. */
export interface BuilderContents {
  /** The buildpacks in /cnb/buildpacks. */
  readonly buildpacks: readonly BuildpackDescriptor[]
  /** The image extensions in /cnb/extensions. */
  readonly extensions: readonly BuildpackDescriptor[]
  readonly order: Order
  readonly runImages: RunDocument['images']
}

/**
 * Reads the labels and the user of a builder image (platform.md, "Builder Image").
 * @param name for messages
 * @throws BaleError 'input' for an image that is not a builder
 */
export function readBuilderImage(image: Image, name: string): BuilderImage {
  const label = labelOf(image.config, builderLabels.metadata)
  if (label === undefined)
    throw new BaleError('input', `the image is not a builder: it has no label ${builderLabels.metadata}`, {
      where: name,
      fix: 'name a builder image, or a builder.toml',
    })
  return {
    image,
    metadata: parseBuilderMetadata(label, `${name} ${builderLabels.metadata}`),
    user: userOf(image, name),
  }
}

/** CNB_USER_ID and CNB_GROUP_ID; images of other tools may have only the numbers in `User`. */
export function userOf({ config }: Image, name: string): BuilderImage['user'] {
  const [, user, group] = /^(\d+):(\d+)$/.exec(config.config?.User ?? '') ?? []
  const [uid, gid] = [envOf(config, 'CNB_USER_ID') ?? user, envOf(config, 'CNB_GROUP_ID') ?? group].map(text =>
    text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined,
  )
  if (uid !== undefined && gid !== undefined) return { uid, gid }
  throw new BaleError('input', 'the builder has no user: CNB_USER_ID and CNB_GROUP_ID are not set to numbers', {
    where: name,
    fix: 'use a builder whose build image sets them',
  })
}

/**
 * Reads order, run images and buildpacks from the files of the unpacked image; from its labels where a file is missing.
 * @throws BaleError 'input' for a builder without an order, or with a malformed buildpack
 */
export async function readBuilderContents(
  { image, metadata }: BuilderImage,
  layers: readonly string[],
  name: string,
): Promise<BuilderContents> {
  const files = new LayeredFiles(layers)
  const order = await readOrder(files, image, name)
  if (order.groups.length === 0)
    throw new BaleError('input', 'the builder has no order: neither /cnb/order.toml nor a label has a group', {
      where: name,
      fix: 'use another builder, or name buildpacks with --buildpack',
    })
  const [buildpacks, extensions] = [await readModules(files, 'buildpack'), await readModules(files, 'extension')]
  const groups = withVersions(order.groups, buildpacks, name)
  const orders = { groups, extensions: withVersions(order.extensions, extensions, name) }
  return { buildpacks, extensions, order: orders, runImages: await readRunImages(files, metadata) }
}

async function readOrder(files: LayeredFiles, { config }: Image, name: string): Promise<Order> {
  const toml = await files.read('cnb/order.toml')
  if (toml !== undefined) return parseOrder(toml, `${name} /cnb/order.toml`)
  const groups = (label: string): Order['groups'] => {
    const json = labelOf(config, label)
    return json === undefined ? [] : parseOrderLabel(json, `${name} ${label}`)
  }
  return { groups: groups(builderLabels.order), extensions: groups(builderLabels.orderExtensions) }
}

/** An order may name a buildpack without a version if there is only one of it. */
function withVersions(
  groups: Order['groups'],
  buildpacks: readonly BuildpackDescriptor[],
  where: string,
): Order['groups'] {
  return groups.map(group =>
    group.map(element => {
      if (element.version !== '') return element
      const versions = buildpacks.filter(({ id }) => id === element.id).map(({ version }) => version)
      if (versions.length === 1) return { ...element, version: versions[0] as string }
      const why =
        versions.length === 0
          ? 'is not in the builder'
          : `is in the builder in several versions: ${versions.join(', ')}`
      throw new BaleError('input', `the order names ${element.id} without a version, and it ${why}`, { where })
    }),
  )
}

async function readModules(files: LayeredFiles, kind: ModuleKind): Promise<BuildpackDescriptor[]> {
  const found: BuildpackDescriptor[] = []
  const dir = `cnb/${kind}s`
  for (const id of await files.directories(dir)) {
    for (const version of await files.directories(`${dir}/${id}`)) {
      const path = `${dir}/${id}/${version}/${kind}.toml`
      const content = await files.read(path)
      if (content === undefined) continue
      const parse = kind === 'buildpack' ? parseBuildpack : parseExtension
      const descriptor = parse(content, `/${path}`)
      // No order can refer to a directory with another name.
      if (escapeId(descriptor.id) === id && descriptor.version === version) found.push(descriptor)
    }
  }
  return found
}

async function readRunImages(files: LayeredFiles, { runImages }: BuilderMetadata): Promise<RunDocument['images']> {
  const run = await files.read('cnb/run.toml')
  const ofRun = run === undefined ? [] : parseRun(run, '/cnb/run.toml').images
  if (ofRun.length > 0) return ofRun
  const stack = await files.read('cnb/stack.toml')
  const ofStack = stack === undefined ? [] : parseStack(stack, '/cnb/stack.toml').images
  return ofStack.length > 0 ? ofStack : runImages
}

/** The buildpacks that a label lists, for `inspect`, which reads no layer. */
export function listedBuildpacks({ config }: Image, name: string): ReturnType<typeof parseBuildpackLayers> {
  const json = labelOf(config, builderLabels.layers)
  return json === undefined ? [] : parseBuildpackLayers(json, `${name} ${builderLabels.layers}`)
}
