/** Media types of both families (image-spec media-types.md, "Compatibility Matrix"). */
export const oci = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
} as const

export const docker = {
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar',
  layerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  layerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
} as const

export type Compression = 'none' | 'gzip' | 'zstd'

const compressions = new Map<string, Compression>([
  [oci.layer, 'none'],
  [oci.layerGzip, 'gzip'],
  [oci.layerZstd, 'zstd'],
  [docker.layer, 'none'],
  [docker.layerGzip, 'gzip'],
  [docker.layerZstd, 'zstd'],
])

/** The compression of a layer's media type; undefined for types that are not supported. */
export function compressionOf(mediaType: string): Compression | undefined {
  return compressions.get(mediaType)
}

export function layerMediaType(compression: Compression): string {
  return { none: oci.layer, gzip: oci.layerGzip, zstd: oci.layerZstd }[compression]
}

export const isIndex = (mediaType: string): boolean => mediaType === oci.index || mediaType === docker.index
export const isDockerManifest = (mediaType: string): boolean => mediaType === docker.manifest
export const isManifest = (mediaType: string): boolean => mediaType === oci.manifest || mediaType === docker.manifest
