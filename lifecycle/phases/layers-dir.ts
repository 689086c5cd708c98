import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { checkLayerName, escapeId } from '../spec/ids.ts'
import { parseLayerToml } from '../spec/layer.ts'
import type { LayerContentMetadata } from '../spec/types.ts'
import { directoryState, namesIn } from '../files/directories.ts'
import { readUntrusted } from '../files/read.ts'

/** A layer as a buildpack left it: its content metadata, and whether its directory exists. */
export interface LayerOnDisk extends LayerContentMetadata {
  readonly name: string
  /** The path of its directory, which may not exist. */
  readonly dir: string
  readonly exists: boolean
}

/** Names of TOML files that are not metadata of a layer (buildpack.md, "Build"). */
const documents = new Set(['launch.toml', 'build.toml', 'store.toml'])

/** Returns `<layers>/<escaped id>`, the layers directory of one buildpack. */
export function buildpackLayersDir(layersDir: string, id: string): string {
  return join(layersDir, escapeId(id))
}

/**
 * Lists the layers in a buildpack's layers directory, sorted by name. Everything there is hostile: names are checked before
 * they become paths, and neither a TOML file nor a layer may be a link.
 */
export async function readLayers(layersDir: string, id: string): Promise<LayerOnDisk[]> {
  const dir = buildpackLayersDir(layersDir, id)
  const layers: LayerOnDisk[] = []
  for (const file of await namesIn(dir)) {
    if (!file.endsWith('.toml') || documents.has(file)) continue
    const where = join(dir, file)
    const name = file.slice(0, -'.toml'.length)
    checkLayerName(name, where)
    const content = await readUntrusted(where, layersDir)
    if (content === undefined) throw new BaleError('filesystem', 'it was removed while it was read', { where })
    const layer = join(dir, name)
    layers.push({
      ...parseLayerToml(content, where),
      name,
      dir: layer,
      exists: (await directoryState(layer)) === 'directory',
    })
  }
  return layers
}
