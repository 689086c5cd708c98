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

/** The path of an image's SBOMs below their output directory. */
export const sbomsIn = (dir: string): string => join(dir, 'layers', 'sbom')

/**
 * Writes `layers/sbom/launch/…` of an image's SBOM layer below a directory, as pack does. Replaces SBOMs of
 * another image or an earlier build.
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
    // withFileTypes, since a recursive readdir without it follows links of a hostile image.
    const entries = await readdir(to, { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => entry.isFile() && entry.name.endsWith('.json'))
      .map(entry => relative(out, join(entry.parentPath, entry.name)))
      .sort()
  } finally {
    await removeTree(work)
  }
}
