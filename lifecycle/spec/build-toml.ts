import { readToml, requiredText, tables } from './read.ts'

/** build.toml (buildpack.md, "build.toml"): the names of unmet plan entries, which later buildpacks may provide. */
export function parseBuildToml(content: Uint8Array | string, where: string): { readonly unmet: readonly string[] } {
  return { unmet: tables(readToml(content, where), 'unmet').map(u => requiredText(u, 'name')) }
}
