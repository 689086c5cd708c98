import { labelOf } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import { platformName } from '../image/validate.ts'
import { platformOf } from '../image/image-index.ts'
import { labels, parseLayersMetadata } from '../spec/labels.ts'

/** Whether an image is on the newest version of its run image. */
export interface RebaseCheck {
  readonly platform: string
  readonly state: 'current' | 'newer'
  /** The run image's name. */
  readonly runImage: string
  /** What identifies the one that the image is on, and the newest one. */
  readonly from: string
  readonly to: string
}

/** Compares the top layer of the run image that an image records with that of the newest one (platform.md, "Rebasing"). */
export function compareRunImages(
  image: Image,
  newest: { readonly name: string; readonly image: Image; readonly reference: string },
): RebaseCheck {
  const label = labelOf(image.config, labels.lifecycle) ?? '{}'
  const { runImage } = parseLayersMetadata(label, `label ${labels.lifecycle}`)
  const isCurrent = runImage?.topLayer === newest.image.layers.at(-1)?.diffId
  return {
    platform: platformName(platformOf(image)),
    state: isCurrent ? 'current' : 'newer',
    runImage: newest.name,
    from: runImage?.reference ?? 'unknown',
    to: newest.reference,
  }
}
