import { mkdtemp, readdir, rename, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import { makeDirectories } from '../files/directories.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import { layerTar } from '../layers/layer-tar.ts'
import { unpackTar } from '../layers/tree/unpack.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'

/**
 * Writes `layers/sbom/launch/…` of an image's SBOM layer below a directory, as pack does.
 * @returns the files, relative to the directory; none for an image without that layer
 * @throws BaleError 'arguments' if the directory has such files already
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
    const to = join(out, 'layers', 'sbom')
    if ((await stat(to).catch(() => undefined)) !== undefined)
      throw new BaleError('arguments', 'it exists already', {
        where: to,
        fix: 'remove it, or choose another directory',
      })
    await makeDirectories(join(out, 'layers'))
    await wrapErrno(to, () => rename(join(tree, 'layers', 'sbom'), to))
    const files = await readdir(to, { recursive: true })
    return files
      .filter(file => file.endsWith('.json'))
      .map(file => join('layers', 'sbom', file))
      .sort()
  } finally {
    await removeTree(work)
  }
}
