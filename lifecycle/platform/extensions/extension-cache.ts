import { link, mkdir, readdir, rename, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { leaseName } from '../../files/lease.ts'
import { removeSoon, removeTree } from '../../files/remove.ts'
import { removeStale } from '../../files/stale.ts'
import type { Image } from '../../image/image.ts'
import { readExtendedImage } from '../../phases/extended-image.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
import { blobPath } from '../../stores/layout/read.ts'
import { extendedDir } from '../builders/unpacked-layers.ts'
import type { OpenBuild } from '../open-build.ts'
import { type ExtensionBase, readInputs } from './extension-inputs.ts'
import { extendInSandbox, extenderInSandbox } from './extension-sandbox.ts'

/**
 * Extends an image, or takes the result of an earlier build in which the Dockerfiles could read the same files. Like a layer
 * cache of BuildKit it does not know what RUN reads from the network: --clear-cache applies the Dockerfiles again. The image's files are
 * this build's: another build may replace or remove those in the cache meanwhile.
 */
export async function extendOnce(
  kind: ExtendKind,
  base: ExtensionBase,
  extensions: readonly GroupElement[],
  build: OpenBuild,
  signal: AbortSignal,
): Promise<Image> {
  const { options, workspace, reporter } = build
  const { network = 'host' } = options
  const inputs = await readInputs(kind, base, extensions, workspace, network, signal)
  const kept = inputs.key === undefined ? undefined : join(options.settings.cacheDir, extendedDir, inputs.key)
  if (kept !== undefined && options.clearCache !== true) {
    const image = await take(kept, join(workspace.dir, `extended-${kind}`), kind, base.image).catch(() => undefined)
    if (image !== undefined) {
      const text = `The ${kind} image is extended as in an earlier build; --clear-cache applies the Dockerfiles again`
      reporter.event({ type: 'note', level: 'info', text })
      return image
    }
  }
  const result = await extendInSandbox(kind, inputs, join(workspace.dir, `extend-${kind}`), build, signal)
  // Without it, only the next build takes longer.
  if (kept !== undefined) await keep(result.dir, kept).catch(() => undefined)
  return result.image
}

/** @throws if there is no complete image that extends the base */
export async function take(kept: string, own: string, kind: ExtendKind, base: Image): Promise<Image> {
  await utimes(kept, new Date(), new Date())
  await linkTree(kept, own)
  const image = await readExtendedImage(own, base, extenderInSandbox(kind))
  const [name = ''] = await readdir(own)
  // Another process may have removed some files while the others were linked.
  for (const { digest } of image.layers.slice(base.layers.length)) await stat(join(own, name, blobPath(digest)))
  return image
}

/** Keeps the files of an image for later builds, and replaces those of earlier ones. */
export async function keep(dir: string, kept: string): Promise<void> {
  const base = dirname(kept)
  await mkdir(base, { recursive: true, mode: 0o700 })
  await removeStale(base)
  const staged = join(base, leaseName())
  try {
    await linkTree(dir, staged)
    await removeTree(kept)
    await rename(staged, kept) // fails if another build was faster: its image is as good
  } catch (error) {
    await removeSoon(staged)
    throw error
  }
}

/** Makes the same directories with further names of the same files: a file stays as long as one of its names. */
async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await linkTree(source, target)
    else await link(source, target)
  }
}
