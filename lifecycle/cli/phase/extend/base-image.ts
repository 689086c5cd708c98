import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../../errors.ts'
import { removeTree } from '../../../files/remove.ts'
import { digestOf } from '../../../image/digest.ts'
import { type Image, makeImage } from '../../../image/image.ts'
import { layoutStore } from '../../../stores/layout/store.ts'
import { writeSparseLayout } from '../../../stores/layout/sparse.ts'
import { hostPlatform } from '../../../stores/settings.ts'

// The images to extend, which restorer writes for extender: manifest and config in OCI layouts without layers in
// `<kaniko>/cache/base/<digest>` (platform.md, "restorer": "MUST copy the OCI manifest and config file").

/** An image of analyzed.toml. */
export interface BaseImage {
  /** Ends with a digest, or is the ID of an image in a daemon. */
  readonly reference: string
  readonly image: Image
}

/** Replaces the images of an earlier build. */
export async function keepBaseImages(kanikoDir: string, bases: readonly BaseImage[]): Promise<void> {
  await removeTree(baseDir(kanikoDir))
  for (const { reference, image } of bases) {
    const dir = placeOf(kanikoDir, reference)
    await mkdir(dir, { recursive: true })
    await writeSparseLayout(dir, withOwnBytes(image))
  }
}

/** A daemon gives the content of a config, but not its bytes, so its image ID does not match the bytes written here. */
const withOwnBytes = (image: Image): Image =>
  digestOf(image.configBytes) === image.imageId ? image : makeImage(image.config, image.layers)

/**
 * @param reference of analyzed.toml
 * @throws BaleError 'input' if restorer has not written the image, or its content does not match its digest
 */
export async function readBaseImage(kanikoDir: string, reference: string): Promise<BaseImage> {
  const where = placeOf(kanikoDir, reference)
  const image = await layoutStore(where).pull('', hostPlatform())
  if (image === undefined)
    throw new BaleError('input', `it does not contain the image ${reference}`, {
      where,
      fix: 'run restorer with the same /kaniko before extender, and with -build-image to extend the build image',
    })
  if (!reference.includes('@') || digestIn(reference) === image.digest) return { reference, image }
  throw new BaleError('input', `it is not the image ${reference}`, { where, fix: 'run restorer again' })
}

const baseDir = (kanikoDir: string): string => join(kanikoDir, 'cache/base')
const placeOf = (kanikoDir: string, reference: string): string => join(baseDir(kanikoDir), digestIn(reference))

function digestIn(reference: string): string {
  const hex = /(?:^|@sha256:)([0-9a-f]{64})$/.exec(reference)?.[1]
  if (hex !== undefined) return `sha256:${hex}`
  throw new BaleError('input', `${reference || 'an image'} has no digest`, {
    where: 'analyzed.toml',
    fix: 'run analyzer and restorer before extender',
  })
}
