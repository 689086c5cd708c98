import { readExecEnv } from './exec-env.ts'
import { checkBuildpackId, checkPublishableId, checkPublishableVersion, checkVersion } from './ids.ts'
import { readGroups } from './order.ts'
import * as read from './read.ts'
import type { BuildpackDescriptor, BuildpackTarget } from './types.ts'

/**
 * buildpack.toml (buildpack.md, "buildpack.toml"). `requireBuildpackApi` checks its API.
 * @param use `run` requires safe names as id and version; `publish` requires the specification's forms
 */
export function parseBuildpack(
  content: Uint8Array | string,
  where: string,
  use: 'run' | 'publish' = 'run',
): BuildpackDescriptor {
  const document = read.readToml(content, where)
  return { ...readDescriptor(document, 'buildpack', use), ...readKind(document) }
}

/** extension.toml (image_extension.md, "extension.toml"). Extensions have no order, so the result is never a composite. */
export function parseExtension(content: Uint8Array | string, where: string): BuildpackDescriptor {
  const document = read.readToml(content, where)
  if (read.has(document, 'order'))
    throw read.errorAt(document, 'order', 'an image extension cannot have an order', 'list it in [[order-extensions]]')
  return { ...readDescriptor(document, 'extension', 'run'), stacks: [] }
}

function readDescriptor(
  document: read.Node,
  kind: 'buildpack' | 'extension',
  use: 'run' | 'publish',
): Omit<BuildpackDescriptor, 'stacks' | 'order'> {
  const api = read.requiredText(document, 'api', 'add the Buildpack API it was written for, such as api = "0.12"')
  const node = read.table(document, kind)
  if (!node) throw read.missing(document, kind, `add [${kind}] with an id and a version`)
  const id = read.requiredText(node, 'id')
  const checkId = use === 'run' ? checkBuildpackId : checkPublishableId
  checkId(id, read.whereOf(node, 'id'))
  const version = read.requiredText(node, 'version')
  const checkItsVersion = use === 'run' ? checkVersion : checkPublishableVersion
  checkItsVersion(version, read.whereOf(node, 'version'))
  return {
    api,
    id,
    version,
    ...read.optionalText(node, 'name', 'name'),
    ...read.optionalText(node, 'homepage', 'homepage'),
    ...read.optionalText(node, 'description', 'description'),
    clearEnv: read.flag(node, 'clear-env'),
    sbomFormats: read.texts(node, 'sbom-formats'),
    execEnv: readExecEnv(node),
    targets: read.tables(document, 'targets').map(readTarget),
    metadata: read.metadata(document, 'metadata'),
  }
}

/** A composite has an order and no stacks; a component may have stacks and has no order. */
function readKind(document: read.Node): Pick<BuildpackDescriptor, 'stacks' | 'order'> {
  const stacks = read.tables(document, 'stacks').map(s => read.requiredText(s, 'id'))
  if (!read.has(document, 'order')) return { stacks }
  const order = readGroups(document, 'order')
  if (order.length === 0)
    throw read.errorAt(document, 'order', 'an order without groups', 'add [[order]] or remove the key')
  const fix = 'remove [[stacks]]: the buildpacks in the order have their own'
  if (stacks.length > 0) throw read.errorAt(document, 'stacks', 'a buildpack with an order cannot have stacks', fix)
  return { stacks, order }
}

/** The specification's key is `variant`, the Go lifecycle's `arch-variant`. */
function readTarget(node: read.Node): BuildpackTarget {
  return {
    ...read.optionalText(node, 'os', 'os'),
    ...read.optionalText(node, 'arch', 'arch'),
    ...read.optionalText(node, 'arch-variant', 'variant'),
    ...read.optionalText(node, 'variant', 'variant'),
    distros: read.tables(node, 'distros').map(d => ({
      ...read.optionalText(d, 'name', 'name'),
      ...read.optionalText(d, 'version', 'version'),
    })),
  }
}
