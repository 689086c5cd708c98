import { metadata, optionalText, readToml, table } from './read.ts'
import type { Metadata, ProjectMetadata } from './types.ts'

/** project-metadata.toml (platform.md, "project-metadata.toml"): where the source came from. All keys are optional. */
export function parseProjectMetadata(content: Uint8Array | string, where: string): ProjectMetadata {
  const source = table(readToml(content, where), 'source')
  if (!source) return {}
  return {
    source: {
      ...optionalText(source, 'type', 'type'),
      ...ifAny('version', metadata(source, 'version')),
      ...ifAny('metadata', metadata(source, 'metadata')),
    },
  }
}

function ifAny<K extends string>(name: K, data: Metadata): { readonly [P in K]?: Metadata } {
  return Object.keys(data).length === 0 ? {} : ({ [name]: data } as { readonly [P in K]?: Metadata })
}
