import { checkBuildpackId, checkGroupIds, checkVersion } from './ids.ts'
import { type Node, errorAt, flag, optionalText, readToml, rejectTwice, requiredText, tables, whereOf } from './read.ts'
import { formatToml } from './toml.ts'
import type { GroupElement } from './types.ts'

/** group.toml (platform.md, "group.toml"): the buildpacks that were detected, in order. */
export function parseGroup(content: Uint8Array | string, where: string): GroupElement[] {
  const document = readToml(content, where)
  const group = readElements(document, 'group')
  if (tables(document, 'group-extensions').length > 0)
    throw errorAt(document, 'group-extensions', 'image extensions are not supported', 'build with buildpacks only')
  return group
}

/** The elements of an array of tables, each with `id`, `version` and `api`, no two of which share a directory. */
export function readElements(document: Node, key: string): GroupElement[] {
  const nodes = tables(document, key)
  const elements = nodes.map(readElement)
  rejectTwice(nodes, elements, 'id', e => e.id)
  checkGroupIds(elements, whereOf(document, key))
  return elements
}

function readElement(node: Node): GroupElement {
  const id = requiredText(node, 'id')
  checkBuildpackId(id, whereOf(node, 'id'))
  const version = requiredText(node, 'version')
  checkVersion(version, whereOf(node, 'version'))
  if (flag(node, 'extension'))
    throw errorAt(node, 'extension', 'image extensions are not supported', 'build with buildpacks only')
  return {
    id,
    version,
    api: requiredText(node, 'api'),
    ...optionalText(node, 'homepage', 'homepage'),
    ...(flag(node, 'optional') && { optional: true }),
  }
}

export function formatGroup(group: readonly GroupElement[]): string {
  return formatToml({ group: group.map(writeElement) })
}

export function writeElement(e: GroupElement): Readonly<Record<string, unknown>> {
  return { id: e.id, version: e.version, api: e.api, homepage: e.homepage, optional: e.optional || undefined }
}
