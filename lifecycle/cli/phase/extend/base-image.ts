import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../../errors.ts'
import { readTrusted } from '../../../files/read.ts'
import { digestOf, hexOf } from '../../../image/digest.ts'
import type { ImageConfig } from '../../../image/config.ts'
import type { Image } from '../../../image/image.ts'
import { oci } from '../../../image/media-types.ts'
import { parseConfig, parseManifest } from '../../../image/validate.ts'

// The manifest and config of an image that is to be extended, as restorer leaves them for extender: an OCI layout without layers in
// `<kaniko>/cache/base/<digest>` (platform.md, "restorer": "MUST copy the OCI manifest and config file").

const baseDir = (kanikoDir: string): string => join(kanikoDir, 'cache/base')

export async function keepBaseImage(kanikoDir: string, image: Image): Promise<void> {
  const dir = join(baseDir(kanikoDir), image.digest)
  const blobs = join(dir, 'blobs/sha256')
  const { mediaType } = image.manifest
  const manifests = [{ mediaType, digest: image.digest, size: image.manifestBytes.length }]
  await mkdir(blobs, { recursive: true })
  await writeFile(join(blobs, hexOf(image.digest)), image.manifestBytes)
  await writeFile(join(blobs, hexOf(image.imageId)), image.configBytes)
  await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: oci.index, manifests }))
}

/**
 * @param reference of analyzed.toml, which ends with the digest
 * @throws BaleError 'input' if restorer has not left it, or it is not what its digest says
 */
export async function readBaseConfig(kanikoDir: string, reference: string): Promise<ImageConfig> {
  const names = await readdir(baseDir(kanikoDir)).catch(() => [])
  const name = names.find(digest => reference.endsWith(`@${digest}`))
  if (name === undefined)
    throw new BaleError('input', `it has nothing of the image ${reference}`, {
      where: baseDir(kanikoDir),
      fix: 'run restorer with -build-image and the same /kaniko before extender',
    })
  const blobs = join(baseDir(kanikoDir), name, 'blobs/sha256')
  const read = async (digest: string): Promise<Uint8Array> => {
    const path = join(blobs, digest.replace(/^sha256:/, ''))
    const bytes = await readTrusted(path)
    if (bytes !== undefined && digestOf(bytes) === digest) return bytes
    throw new BaleError('input', bytes === undefined ? 'there is no such file' : 'it was changed', { where: path })
  }
  const manifest = parseManifest(await read(name), blobs)
  if (!('config' in manifest)) throw new BaleError('input', 'it is an index, and an image is wanted', { where: blobs })
  return parseConfig(await read(manifest.config.digest), blobs)
}
