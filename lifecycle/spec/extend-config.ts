import { type Node, readToml, requiredText, table, tables, text } from './read.ts'

/** The image that a Dockerfile of an image extension changes. */
export type ExtendKind = (typeof extendKinds)[number]
export const extendKinds = ['build', 'run'] as const

export interface BuildArg {
  readonly name: string
  readonly value: string
}

/** extend-config.toml (image_extension.md, "extend-config.toml"): arguments for the Dockerfiles of an extension. */
export interface ExtendConfig {
  readonly build: readonly BuildArg[]
  readonly run: readonly BuildArg[]
}

export function parseExtendConfig(content: Uint8Array | string, where: string): ExtendConfig {
  const document = readToml(content, where)
  return { build: argsOf(table(document, 'build')), run: argsOf(table(document, 'run')) }
}

const argsOf = (node: Node | undefined): BuildArg[] =>
  node === undefined
    ? []
    : tables(node, 'args').map(a => ({ name: requiredText(a, 'name'), value: text(a, 'value') ?? '' }))
