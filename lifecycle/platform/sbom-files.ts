import { mkdtemp, readdir, rename } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { isErrno } from '../errors.ts'
import { makeDirectories } from '../files/directories.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import { layerTar } from '../layers/layer-tar.ts'
import { unpackTar } from '../layers/tree/unpack.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'

/** Where the SBOMs of an image are in a directory that they are written to. */
export const sbomsIn = (dir: string): string => join(dir, 'layers', 'sbom')

/**
 * Writes `layers/sbom/launch/…` of an image's SBOM layer below a directory, as pack does. Those of another image, or of an earlier
 * build, make way.
 * @returns the files, relative to the directory; none for an image without that layer
 */
export async function writeSboms(image: Image, dir: string, signal: AbortSignal): Promise<string[]> {
  const { sbom } = parseLayersMetadata(labelOf(image.config, labels.lifecycle) ?? '{}', `label ${labels.lifecycle}`)
  const layer = image.layers.find(({ diffId }) => diffId === sbom?.sha)
  if (layer === undefined) return []
  const out = resolve(dir)
  await makeDirectories(out)
  const work = await wrapErrno(out, () => mkdtemp(join(out, '.sbom-')))
  try {
    const tree = join(work, 'tree')
    await unpackTar(layerTar(layer, signal), tree, { signal })
    const to = sbomsIn(out)
    await makeDirectories(dirname(to))
    await wrapErrno(to, async () => {
      await rename(to, join(work, 'earlier')).catch((error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error
      })
      await rename(join(tree, 'layers', 'sbom'), to)
    })
    // With their kinds, since without them links of a hostile image would be followed.
    const entries = await readdir(to, { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => entry.isFile() && entry.name.endsWith('.json'))
      .map(entry => relative(out, join(entry.parentPath, entry.name)))
      .sort()
  } finally {
    await removeTree(work)
  }
}
