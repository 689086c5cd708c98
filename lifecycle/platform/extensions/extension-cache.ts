import { mkdir, rename, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { removeSoon, removeTree } from '../../files/remove.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import type { Image } from '../../image/image.ts'
import { readExtendedImage } from '../../phases/extended-image.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
import { extendedDir } from '../builders/unpacked-layers.ts'
import type { OpenBuild } from '../open-build.ts'
import { type ExtensionBase, readInputs } from './extension-inputs.ts'
import { extendInSandbox } from './extension-sandbox.ts'

/**
 * Extends an image, or takes the result of an earlier build in which the Dockerfiles could read the same files. Like a layer
 * cache of BuildKit it does not know what RUN reads from the network: --clear-cache applies the Dockerfiles again.
 */
export async function extendOnce(
  kind: ExtendKind,
  base: ExtensionBase,
  extensions: readonly GroupElement[],
  build: OpenBuild,
  signal: AbortSignal,
): Promise<Image> {
  const { options, workspace, reporter } = build
  const inputs = await readInputs(kind, base, extensions, workspace, signal)
  const { key } = inputs
  const kept = key === undefined ? undefined : join(options.settings.cacheDir, extendedDir, key)
  if (kept !== undefined && options.clearCache !== true) {
    const image = await readExtendedImage(kept, base.image, process.geteuid?.()).catch(() => undefined)
    if (image !== undefined) {
      await utimes(kept, new Date(), new Date()).catch(() => undefined)
      const text = `The ${kind} image is extended as in an earlier build; --clear-cache applies the Dockerfiles again`
      reporter.event({ type: 'note', level: 'info', text })
      return image
    }
  }
  const result = await extendInSandbox(kind, inputs, join(workspace.dir, `extend-${kind}`), build, signal)
  if (kept === undefined) return result.image
  await wrapErrno(kept, async () => {
    await mkdir(dirname(kept), { recursive: true, mode: 0o700 })
    await removeTree(kept)
    await rename(result.dir, kept)
  }).catch(async () => removeSoon(kept).catch(() => undefined))
  const moved = await readExtendedImage(kept, base.image, process.geteuid?.()).catch(() => undefined)
  return moved ?? result.image
}
