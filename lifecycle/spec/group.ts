import { checkBuildpackId, checkGroupIds, checkVersion } from './ids.ts'
import { type Node, errorAt, flag, optionalText, readToml, rejectTwice, requiredText, tables, whereOf } from './read.ts'
import { formatToml } from './toml.ts'
import type { Group, GroupElement } from './types.ts'

/** group.toml (platform.md, "group.toml"). */
export function parseGroup(content: Uint8Array | string, where: string): Group {
  const document = readToml(content, where)
  const node = tables(document, 'group').find(element => flag(element, 'extension'))
  if (node !== undefined)
    throw errorAt(node, 'extension', 'an image extension is listed as a buildpack', 'list it as [[group-extensions]]')
  return { buildpacks: readElements(document, 'group'), extensions: readElements(document, 'group-extensions') }
}

/** Reads an array of tables with `id`, `version` and `api`. No two elements may share a directory. */
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
  return {
    id,
    version,
    api: requiredText(node, 'api'),
    ...optionalText(node, 'homepage', 'homepage'),
    ...(flag(node, 'optional') && { optional: true }),
  }
}

export function formatGroup({ buildpacks, extensions }: Group): string {
  return formatToml({
    group: buildpacks.map(writeElement),
    'group-extensions': extensions.length === 0 ? undefined : extensions.map(writeElement),
  })
}

export function writeElement(e: GroupElement): Readonly<Record<string, unknown>> {
  return { id: e.id, version: e.version, api: e.api, homepage: e.homepage, optional: e.optional || undefined }
}
