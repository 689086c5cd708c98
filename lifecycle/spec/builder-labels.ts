import { BaleError } from '../errors.ts'
import { checkBuildpackId, checkVersion } from './ids.ts'
import { readGroups } from './order.ts'
import * as read from './read.ts'
import type { BuildpackTarget, OrderElement, RunDocument } from './types.ts'

/** Labels of builder images and buildpack packages. They have pack's form, which other platforms also read (distribution.md). */
export const builderLabels = {
  metadata: 'io.buildpacks.builder.metadata',
  order: 'io.buildpacks.buildpack.order',
  orderExtensions: 'io.buildpacks.buildpack.order-extensions',
  layers: 'io.buildpacks.buildpack.layers',
  extensionLayers: 'io.buildpacks.extension.layers',
  package: 'io.buildpacks.buildpackage.metadata',
  lifecycleApis: 'io.buildpacks.lifecycle.apis',
  lifecycleVersion: 'io.buildpacks.lifecycle.version',
} as const

/** `io.buildpacks.builder.metadata` */
export interface BuilderMetadata {
  readonly description: string
  readonly buildpacks: readonly NamedBuildpack[]
  readonly extensions: readonly NamedBuildpack[]
  /** `images`, or the one of `stack` in builders for older platforms. */
  readonly runImages: RunDocument['images']
  readonly lifecycle: LifecycleDescriptor
  readonly createdBy?: { readonly name: string; readonly version: string }
}

export interface NamedBuildpack {
  readonly id: string
  readonly version: string
  readonly name?: string
  readonly homepage?: string
}

/** A lifecycle's own description. The newest API is last. */
export interface LifecycleDescriptor {
  readonly version: string
  readonly platformApis: readonly string[]
  readonly buildpackApis: readonly string[]
}

export function parseBuilderMetadata(json: string, where: string): BuilderMetadata {
  const document = read.readJson(json, where)
  const stack = read.table(document, 'stack')
  const ofStack = stack && read.table(stack, 'runImage')
  const images = [...read.tables(document, 'images'), ...(ofStack === undefined ? [] : [ofStack])]
  const createdBy = read.table(document, 'createdBy')
  return {
    description: read.text(document, 'description') ?? '',
    buildpacks: read.tables(document, 'buildpacks').map(readNamed),
    extensions: read.tables(document, 'extensions').map(readNamed),
    runImages: images.flatMap(node => {
      const image = read.text(node, 'image') ?? ''
      return image === '' ? [] : [{ image, mirrors: read.texts(node, 'mirrors') }]
    }),
    lifecycle: readLifecycle(read.table(document, 'lifecycle')),
    ...(createdBy && {
      createdBy: { name: read.text(createdBy, 'name') ?? '', version: read.text(createdBy, 'version') ?? '' },
    }),
  }
}

const readNamed = (node: read.Node): NamedBuildpack => ({
  id: read.text(node, 'id') ?? '',
  version: read.text(node, 'version') ?? '',
  ...read.optionalText(node, 'name', 'name'),
  ...read.optionalText(node, 'homepage', 'homepage'),
})

/** Older lifecycles have one version of each API, later ones lists of supported versions (buildpacks RFC 0049). */
function readLifecycle(node: read.Node | undefined): LifecycleDescriptor {
  if (node === undefined) return { version: '', platformApis: [], buildpackApis: [] }
  const apis = read.table(node, 'apis')
  const single = read.table(node, 'api')
  const list = (kind: 'platform' | 'buildpack'): string[] => {
    const all = apis && read.table(apis, kind)
    const listed = all === undefined ? [] : [...read.texts(all, 'deprecated'), ...read.texts(all, 'supported')]
    const one = single && read.text(single, kind)
    return listed.length > 0 || one === undefined ? [...new Set(listed)].sort(byApi) : [one]
  }
  return { version: read.text(node, 'version') ?? '', platformApis: list('platform'), buildpackApis: list('buildpack') }
}

/** `0.9` is before `0.10`. */
function byApi(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA - majorB || minorA - minorB
}

/** `io.buildpacks.buildpack.order`: a list of groups. */
export function parseOrderLabel(json: string, where: string): readonly (readonly OrderElement[])[] {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new BaleError('input', 'not JSON', { where })
  }
  return readGroups(read.readJson(JSON.stringify({ order: value ?? [] }), where), 'order')
}

/** A buildpack in `io.buildpacks.buildpack.layers`. */
export interface BuildpackLayer {
  readonly id: string
  readonly version: string
  readonly api: string
  /** The diffID of the buildpack's layer. */
  readonly diffId: string
  readonly name?: string
  readonly homepage?: string
  readonly stacks: readonly string[]
  readonly targets: readonly BuildpackTarget[]
  readonly order?: readonly (readonly OrderElement[])[]
}

export function parseBuildpackLayers(json: string, where: string): readonly BuildpackLayer[] {
  const document = read.readJson(json, where)
  return Object.keys(document.table).flatMap(id => {
    checkBuildpackId(id, where)
    const versions = read.table(document, id)
    if (versions === undefined) return []
    return Object.keys(versions.table).flatMap(version => {
      checkVersion(version, where)
      const node = read.table(versions, version)
      return node === undefined ? [] : [readLayer(id, version, node)]
    })
  })
}

function readLayer(id: string, version: string, node: read.Node): BuildpackLayer {
  const order = read.has(node, 'order') ? readGroups(node, 'order') : []
  return {
    id,
    version,
    api: read.text(node, 'api') ?? '',
    diffId: read.text(node, 'layerDiffID') ?? '',
    ...read.optionalText(node, 'name', 'name'),
    ...read.optionalText(node, 'homepage', 'homepage'),
    stacks: read.tables(node, 'stacks').map(stack => read.text(stack, 'id') ?? ''),
    targets: read.tables(node, 'targets').map(target => ({
      ...read.optionalText(target, 'os', 'os'),
      ...read.optionalText(target, 'arch', 'arch'),
      ...read.optionalText(target, 'variant', 'variant'),
      distros: read.tables(target, 'distros').map(d => ({
        ...read.optionalText(d, 'name', 'name'),
        ...read.optionalText(d, 'version', 'version'),
      })),
    })),
    ...(order.length > 0 && { order }),
  }
}
