import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import { platformName } from '../image/validate.ts'
import { platformOf } from '../image/image-index.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'
import { type PackageChange, debianPackages, packageChanges } from './debian-packages.ts'

/** Whether an image uses the newest version of its run image. */
export interface RebaseCheck {
  readonly platform: string
  readonly state: 'current' | 'newer'
  /** The run image's name. */
  readonly runImage: string
  /** Identifies the image's present run image, and the newest one. */
  readonly from: string
  readonly to: string
  /** The Debian packages that a rebase would change. Empty if none would; absent if the images do not record them, or the run image is the newest. */
  readonly packages?: readonly PackageChange[] | undefined
}

/** Compares the top layer of the run image that an image records with that of the newest one (platform.md, "Rebasing"). */
export async function compareRunImages(
  image: Image,
  newest: { readonly name: string; readonly image: Image; readonly reference: string },
  signal?: AbortSignal,
): Promise<RebaseCheck> {
  const label = labelOf(image.config, labels.lifecycle) ?? '{}'
  const { runImage } = parseLayersMetadata(label, `label ${labels.lifecycle}`)
  const isCurrent = runImage?.topLayer === newest.image.layers.at(-1)?.diffId
  return {
    platform: platformName(platformOf(image)),
    state: isCurrent ? 'current' : 'newer',
    runImage: newest.name,
    from: runImage?.reference ?? 'unknown',
    to: newest.reference,
    packages: isCurrent ? undefined : await changedPackages(image, runImage?.topLayer, newest.image, signal),
  }
}

async function changedPackages(
  image: Image,
  topLayer: string | undefined,
  newest: Image,
  signal?: AbortSignal,
): Promise<readonly PackageChange[] | undefined> {
  const top = image.layers.findIndex(layer => layer.diffId === topLayer)
  if (top < 0) return undefined
  const before = await debianPackages(image.layers.slice(0, top + 1), signal)
  const after = before === undefined ? undefined : await debianPackages(newest.layers, signal)
  return before === undefined || after === undefined ? undefined : packageChanges(before, after)
}
