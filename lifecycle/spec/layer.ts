import { errorAt, flag, has, metadata, readToml, table } from './read.ts'
import { formatToml } from './toml.ts'
import type { LayerContentMetadata, LayerTypes, Metadata } from './types.ts'

/** `<layer>.toml` (buildpack.md, "Layer Content Metadata"). Without types a layer is ignored. */
export function parseLayerToml(content: Uint8Array | string, where: string): LayerContentMetadata {
  const document = readToml(content, where)
  const types = table(document, 'types')
  // The keys' place before Buildpack API 0.6. If they were ignored as unknown keys, the layer would silently be missing in the
  // image.
  const stray = (['launch', 'build', 'cache'] as const).find(key => has(document, key) && flag(document, key))
  if (stray !== undefined && !types)
    throw errorAt(document, stray, 'the types of a layer belong in the table [types]', `write [types] above ${stray}`)
  return {
    types: types
      ? { launch: flag(types, 'launch'), build: flag(types, 'build'), cache: flag(types, 'cache') }
      : { launch: false, build: false, cache: false },
    metadata: metadata(document, 'metadata'),
  }
}

/** Makes a layer's file. A restored layer has no types (buildpack.md, "Reusing Layers"). */
export function formatLayerToml(metadata: Metadata, types?: LayerTypes): string {
  return formatToml({
    types: types && { launch: types.launch, build: types.build, cache: types.cache },
    metadata,
  })
}
