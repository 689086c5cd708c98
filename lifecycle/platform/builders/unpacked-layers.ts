import { createHash } from 'node:crypto'
import { mkdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import { removeStale } from '../../files/stale.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { hexOf } from '../../image/digest.ts'
import type { Layer } from '../../image/layer.ts'
import { unpackChanges, unpackImage, unpackLayer } from '../../layers/tree/unpack.ts'
import { ownDirectory } from '../../files/own-directory.ts'

export interface UnpackInput {
  readonly cacheDir: string
  readonly reporter: Reporter
  /** Unpacks all layers into one directory, for machines that cannot overlay them. */
  readonly flat?: boolean
}

/** The folder of the cache directory, for `bale cache`. */
export const unpackedLayersDir = 'layers'

/** The folder for images that image extensions have extended. */
export const extendedDir = 'extended'

/**
 * Unpacks the layers of an image, each into a directory of its own named after its diffID, which all images with the layer
 * share. Directories are kept for the next build. A layer that changes those below it, by a whiteout, is unpacked together
 * with them, into one directory named after the whole chain (image-spec config.md, "Layer ChainID").
 * @returns absolute paths to overlay, the lowest first
 * @throws BaleError 'input' for a damaged layer
 */
export async function unpackedLayers(
  layers: readonly Layer[],
  input: UnpackInput,
  signal: AbortSignal,
): Promise<string[]> {
  await ownDirectory(input.cacheDir, 'XDG_CACHE_HOME')
  const base = join(input.cacheDir, unpackedLayersDir)
  await wrapErrno(base, () => mkdir(base, { recursive: true, mode: 0o700 }))
  await removeStale(base)
  if (input.flat === true) return [await chain(layers, base, input, signal)]
  const dirs: string[] = []
  for (const [n, layer] of [...layers.entries()].reverse()) {
    signal.throwIfAborted()
    if (await standsAlone(layer, n, base, input, signal)) dirs.unshift(directoryOf(layer, base))
    else return [await chain(layers.slice(0, n + 1), base, input, signal), ...dirs]
  }
  return dirs
}

/**
 * Unpacks the layers that image extensions have made, each into a directory to overlay, with whiteouts of overlayfs.
 * @returns absolute paths, the lowest first
 */
export async function unpackedChanges(
  layers: readonly Layer[],
  { cacheDir }: Pick<UnpackInput, 'cacheDir'>,
  signal: AbortSignal,
): Promise<string[]> {
  const dirs: string[] = []
  for (const layer of layers) {
    const dir = join(cacheDir, unpackedLayersDir, `${hexOf(layer.diffId)}.changes`)
    if (!(await touch(dir)))
      await unpackUnlessThere(dir, async () => {
        await unpackChanges(layer, dir, { signal })
        return true
      })
    dirs.push(dir)
  }
  return dirs
}

const directoryOf = (layer: Layer, base: string): string => join(base, hexOf(layer.diffId))

/** Returns whether a layer has a directory of its own. Creates it if possible. */
async function standsAlone(
  layer: Layer,
  n: number,
  base: string,
  { reporter }: UnpackInput,
  signal: AbortSignal,
): Promise<boolean> {
  const dir = directoryOf(layer, base)
  const dependent = `${dir}.dependent`
  if (await touch(dir)) return true
  if (n > 0 && (await touch(dependent))) return false
  note(reporter, `Unpacking layer ${layer.diffId.slice(7, 19)} of the builder, once`)
  if (await unpackUnlessThere(dir, () => unpackLayer(layer, dir, { signal }))) return true
  await writeFile(dependent, '')
  return false
}

async function chain(layers: readonly Layer[], base: string, { reporter }: UnpackInput, signal: AbortSignal) {
  const ids = layers.map(layer => layer.diffId).join(' ')
  const dir = join(base, `chain-${createHash('sha256').update(ids).digest('hex')}`)
  if (await touch(dir)) return dir
  note(reporter, `Unpacking ${layers.length} layers of the builder, once`)
  await unpackUnlessThere(dir, async () => {
    await unpackImage(layers, dir, { signal })
    return true
  })
  return dir
}

/** Another process may unpack the same layer meanwhile: then its directory is used. */
async function unpackUnlessThere(dir: string, unpack: () => Promise<boolean>): Promise<boolean> {
  return await unpack().catch(async (error: unknown) => {
    if (await touch(dir)) return true
    throw error
  })
}

/** Returns whether a directory exists. If so, marks it as used now. */
async function touch(path: string): Promise<boolean> {
  const now = new Date()
  try {
    await utimes(path, now, now)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    return (await stat(path).catch(() => undefined)) !== undefined
  }
}

const note = (reporter: Reporter, text: string): void => reporter.event({ type: 'note', level: 'debug', text })
