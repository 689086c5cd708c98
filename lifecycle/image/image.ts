import { BaleError } from '../errors.ts'
import type { ImageConfig } from './config.ts'
import { type Digest, digestOf } from './digest.ts'
import type { Layer } from './layer.ts'
import type { Manifest } from './manifest.ts'
import { compressionOf, docker, isDockerManifest, oci } from './media-types.ts'

/**
 * An image is a value. The bytes of manifest and config are kept as they were read, since their digests identify the image. A
 * changed image is a new value, made by `makeImage`.
 */
export interface Image {
  readonly manifest: Manifest
  readonly config: ImageConfig
  /** The digest of the manifest's bytes. */
  readonly digest: Digest
  /** The digest of the config's bytes, Docker's image ID. */
  readonly imageId: Digest
  readonly manifestBytes: Uint8Array
  readonly configBytes: Uint8Array
  readonly layers: readonly Layer[]
}

export type ManifestFormat = 'oci' | 'docker'

/**
 * The format of an image on a base: the base's, so that tools that rewrite images with a Docker base, such as
 * the Go rebaser, find Docker's media types throughout. Docker's format has no zstd, so an image with such layers is OCI's.
 */
export function formatOf(base: Image, layers: readonly Layer[]): ManifestFormat {
  return isDockerManifest(base.manifest.mediaType) && !hasZstd(layers) ? 'docker' : 'oci'
}

const hasZstd = (layers: readonly Layer[]): boolean => layers.some(l => compressionOf(l.mediaType) === 'zstd')

/** The image with this config and these layers. The diff_ids come from the layers. */
export function makeImage(
  config: ImageConfig,
  layers: readonly Layer[],
  format: ManifestFormat = 'oci',
  annotations?: Readonly<Record<string, string>>,
): Image {
  const whole: ImageConfig = { ...config, rootfs: { type: 'layers', diff_ids: layers.map(l => l.diffId) } }
  const configBytes = encode(whole)
  const types = format === 'oci' ? oci : docker
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: digestOf(configBytes), size: configBytes.length },
    layers: layers.map(l => ({ mediaType: inFormat(l.mediaType, format), digest: l.digest, size: l.size })),
    ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations }),
  }
  return assembleImage(encode(manifest), manifest, configBytes, whole, layers)
}

/**
 * The same image with the media types of another format; its config keeps its bytes. Programs that rewrite manifests to Docker's
 * types, such as the Go rebaser, do not change the types of layers: the result is readable only if all were Docker's before.
 * @throws BaleError 'arguments' for features that Docker's format lacks: layers in zstd, annotations
 */
export function inManifestFormat(image: Image, format: ManifestFormat, where: string): Image {
  const { manifest, configBytes, config, layers } = image
  if (format === 'docker') {
    const lacking = [
      ...(hasZstd(layers) ? ['layers compressed with zstd'] : []),
      ...(manifest.annotations === undefined ? [] : ['annotations']),
    ]
    if (lacking.length > 0)
      throw new BaleError('arguments', `the image has ${lacking.join(' and ')}, which Docker's format does not have`, {
        where,
        fix: "push it in OCI's format, or build it without them",
      })
  }
  const types = format === 'oci' ? oci : docker
  const rewritten: Manifest = {
    ...manifest,
    mediaType: types.manifest,
    config: { ...manifest.config, mediaType: types.config },
    layers: manifest.layers.map(l => ({ ...l, mediaType: inFormat(l.mediaType, format) })),
  }
  return assembleImage(encode(rewritten), rewritten, configBytes, config, layers)
}

/** Makes the value of a read image: bytes with their parsed and validated values. */
export function assembleImage(
  manifestBytes: Uint8Array,
  manifest: Manifest,
  configBytes: Uint8Array,
  config: ImageConfig,
  layers: readonly Layer[],
): Image {
  return {
    manifest,
    config,
    digest: digestOf(manifestBytes),
    imageId: manifest.config.digest,
    manifestBytes,
    configBytes,
    layers,
  }
}

/** The size of everything that a store keeps for the image, in bytes. */
export function sizeOf(image: Image): number {
  return image.manifestBytes.length + image.configBytes.length + image.layers.reduce((sum, l) => sum + l.size, 0)
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

/** Docker's and OCI's layer types mean the same bytes. A manifest uses the types of its own format. */
function inFormat(mediaType: string, format: ManifestFormat): string {
  const [from, to] = format === 'oci' ? [docker, oci] : [oci, docker]
  for (const key of ['layer', 'layerGzip', 'layerZstd'] as const) if (mediaType === from[key]) return to[key]
  return mediaType
}
