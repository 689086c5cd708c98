import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../../errors.ts'
import type { Image } from '../../../image/image.ts'
import { layoutStore } from '../../../stores/layout/store.ts'
import { writeSparseLayout } from '../../../stores/layout/sparse.ts'
import { hostPlatform } from '../../../stores/settings.ts'

// The images that are to be extended, as restorer leaves them for extender: manifest and config in OCI layouts without layers in
// `<kaniko>/cache/base/<digest>` (platform.md, "restorer": "MUST copy the OCI manifest and config file").

/** @param reference of analyzed.toml: it ends with a digest, or is the ID of an image in a daemon */
export async function keepBaseImage(kanikoDir: string, reference: string, image: Image): Promise<void> {
  const dir = placeOf(kanikoDir, reference)
  await mkdir(dir, { recursive: true })
  await writeSparseLayout(dir, image)
}

/**
 * @param reference of analyzed.toml
 * @throws BaleError 'input' if restorer has not left it, or it is not what its digest says
 */
export async function readBaseImage(kanikoDir: string, reference: string): Promise<Image> {
  const where = placeOf(kanikoDir, reference)
  const image = await layoutStore(where).pull('', hostPlatform())
  if (image === undefined)
    throw new BaleError('input', `it has nothing of the image ${reference}`, {
      where,
      fix: 'run restorer with the same /kaniko before extender, and with -build-image to extend the build image',
    })
  const digest = digestIn(reference)
  if (digest === image.digest || digest === image.imageId) return image
  throw new BaleError('input', `it is not the image ${reference}`, { where, fix: 'run restorer again' })
}

const placeOf = (kanikoDir: string, reference: string): string => join(kanikoDir, 'cache/base', digestIn(reference))

function digestIn(reference: string): string {
  const hex = /(?:^|@sha256:)([0-9a-f]{64})$/.exec(reference)?.[1]
  if (hex !== undefined) return `sha256:${hex}`
  throw new BaleError('input', `${reference || 'an image'} has no digest`, {
    where: 'analyzed.toml',
    fix: 'run analyzer and restorer before extender',
  })
}
