import { BaleError } from '../errors.ts'
import * as read from './read.ts'
import { isTable } from './table.ts'

/** The parts of project.toml that a build uses, in any of its schemas. */
export interface ProjectDescriptor {
  /** The project's own name. */
  readonly name?: string
  /** Patterns as in .gitignore; at most one of the two. */
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  /** Variables for buildpacks at build time. */
  readonly env: Readonly<Record<string, string>>
  /** The builder to build with: an image, or a path. */
  readonly builder?: string
  /** The buildpacks to build with, in place of the builder's order. */
  readonly group: readonly ProjectBuildpack[]
  /** The buildpacks before and after every group. */
  readonly pre: readonly ProjectBuildpack[]
  readonly post: readonly ProjectBuildpack[]
  /** A table that has a meaning only in a schema other than the file's. */
  readonly unread?: { readonly where: string; readonly table: string; readonly schema: string }
}

/** A buildpack of a project (extensions/project-descriptor.md): in the builder, at a URI, or a script in the file itself. */
export interface ProjectBuildpack {
  readonly id?: string
  readonly version?: string
  readonly uri?: string
  readonly script?: { readonly api: string; readonly shell: string; readonly inline: string }
  /** Its place in the file. */
  readonly where: string
}

const schemas = ['0.1', '0.2', '0.3']

/**
 * project.toml (extensions/project-descriptor.md). Schema 0.1 has `[project]` and `[build]`, later ones `[_]` and
 * `[io.buildpacks]`.
 * @throws BaleError 'input' for an unknown schema, or for include beside exclude
 */
export function parseProjectDescriptor(content: Uint8Array | string, where: string): ProjectDescriptor {
  const document = read.readToml(content, where)
  const project = read.table(document, '_')
  const schema = (project && read.text(project, 'schema-version')) ?? '0.1'
  if (!schemas.includes(schema))
    throw new BaleError('input', `the schema ${read.quote(schema)} is not known`, {
      where: `${where} _.schema-version`,
      fix: `write one of: ${schemas.join(', ')}`,
    })
  if (schema === '0.1') {
    const old = read.table(document, 'project')
    const unread = hasTable(document, 'io', 'buildpacks') ? { unread: { where, table: 'io.buildpacks', schema } } : {}
    return { ...nameIn(old), ...readBuild(read.table(document, 'build'), 'build', 'buildpacks'), ...unread }
  }
  const io = read.table(document, 'io')
  const buildpacks = io && read.table(io, 'buildpacks')
  const unread = hasTable(document, 'build') ? { unread: { where, table: 'build', schema } } : {}
  return { ...nameIn(project), ...readBuild(buildpacks, 'io.buildpacks', 'group'), ...unread }
}

/** Returns whether a table exists, in a part of the file that may contain any values. */
function hasTable(document: read.Node, ...path: readonly string[]): boolean {
  return isTable(path.reduce<unknown>((value, key) => (isTable(value) ? value[key] : undefined), document.table))
}

/** Reads `id`, which is for machines, or else `name`. */
function nameIn(node: read.Node | undefined): Pick<ProjectDescriptor, 'name'> {
  if (node === undefined) return {}
  return { ...read.optionalText(node, 'name', 'name'), ...read.optionalText(node, 'id', 'name') }
}

function readBuild(node: read.Node | undefined, prefix: string, group: string): ProjectDescriptor {
  if (node === undefined) return { env: {}, group: [], pre: [], post: [] }
  const [include, exclude] = ['include', 'exclude'].map(key =>
    read.has(node, key) ? read.texts(node, key) : undefined,
  )
  if (include !== undefined && exclude !== undefined)
    throw read.errorAt(node, 'include', 'include and exclude cannot be combined', 'keep one of them')
  const env = prefix === 'build' ? node : read.table(node, 'build')
  const variables = env === undefined ? [] : read.tables(env, 'env')
  const around = (key: string): readonly ProjectBuildpack[] => {
    const table = read.table(node, key)
    return table === undefined ? [] : read.tables(table, 'buildpacks').map(readBuildpack)
  }
  return {
    include,
    exclude,
    env: Object.fromEntries(variables.map(v => [read.requiredText(v, 'name'), read.text(v, 'value') ?? ''])),
    ...read.optionalText(node, 'builder', 'builder'),
    group: read.tables(node, group).map(readBuildpack),
    pre: around('pre'),
    post: around('post'),
  }
}

function readBuildpack(node: read.Node): ProjectBuildpack {
  const script = read.table(node, 'script')
  const found: ProjectBuildpack = {
    ...read.optionalText(node, 'id', 'id'),
    ...read.optionalText(node, 'version', 'version'),
    ...read.optionalText(node, 'uri', 'uri'),
    ...(script && {
      script: {
        api: read.requiredText(script, 'api'),
        shell: read.text(script, 'shell') || '/bin/sh',
        inline: read.requiredText(script, 'inline'),
      },
    }),
    where: read.whereOf(node, ''),
  }
  if (found.uri !== undefined && (found.script !== undefined || found.version !== undefined))
    throw read.errorAt(
      node,
      'uri',
      'a buildpack has either a uri, or an id with a version or a script',
      'keep one of them',
    )
  if (found.uri === undefined && found.id === undefined)
    throw read.errorAt(node, '', 'a buildpack has neither id nor uri', 'add one of them')
  return found
}
