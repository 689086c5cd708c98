import { metadata, readToml } from './read.ts'
import { formatToml } from './toml.ts'
import type { Metadata } from './types.ts'

/** store.toml (buildpack.md, "store.toml"): data that a buildpack keeps from build to build. */
export function parseStore(content: Uint8Array | string, where: string): Metadata {
  return metadata(readToml(content, where), 'metadata')
}

export function formatStore(metadata: Metadata): string {
  return formatToml({ metadata })
}
