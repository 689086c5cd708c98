import { BaleError } from '../errors.ts'
import * as read from './read.ts'

/** The parts of project.toml that a build uses, in any of its schemas. */
export interface ProjectDescriptor {
  /** Patterns as in .gitignore; at most one of the two. */
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  /** Variables for buildpacks at build time. */
  readonly env: Readonly<Record<string, string>>
  /** Keys in the file that Bale ignores, as they are written. */
  readonly notFollowed: readonly string[]
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
  if (schema === '0.1') return readBuild(read.table(document, 'build'), 'build', 'buildpacks')
  const io = read.table(document, 'io')
  const buildpacks = io && read.table(io, 'buildpacks')
  return readBuild(buildpacks, 'io.buildpacks', 'group')
}

function readBuild(node: read.Node | undefined, prefix: string, group: string): ProjectDescriptor {
  if (node === undefined) return { env: {}, notFollowed: [] }
  const [include, exclude] = ['include', 'exclude'].map(key =>
    read.has(node, key) ? read.texts(node, key) : undefined,
  )
  if (include !== undefined && exclude !== undefined)
    throw read.errorAt(node, 'include', 'include and exclude exclude each other', 'keep one of them')
  const env = prefix === 'build' ? node : read.table(node, 'build')
  const variables = env === undefined ? [] : read.tables(env, 'env')
  const notFollowed = ['builder', group, 'pre', 'post'].filter(key => read.has(node, key))
  return {
    include,
    exclude,
    env: Object.fromEntries(variables.map(v => [read.requiredText(v, 'name'), read.text(v, 'value') ?? ''])),
    notFollowed: notFollowed.map(key => `${prefix}.${key}`),
  }
}
