import { readLayersMetadata, writeLayersMetadata } from './layers-metadata.ts'
import * as read from './read.ts'
import { formatToml } from './toml.ts'
import type { Analyzed, LayersMetadata, Target } from './types.ts'

/** analyzed.toml (platform.md, "analyzed.toml"). The previous image is under `image`, as in the Go lifecycle. */
export function parseAnalyzed(content: Uint8Array | string, where: string): Analyzed {
  const document = read.readToml(content, where)
  const image = read.table(document, 'image')
  const reference = image && read.text(image, 'reference')
  const metadata = read.table(document, 'metadata')
  const runImage = readRunImage(read.table(document, 'run-image'))
  return {
    ...(reference && { image: { reference } }),
    ...(metadata && { metadata: readLayersMetadata(metadata) }),
    runImage,
    ...readBuildImage(read.table(document, 'build-image')),
  }
}

function readBuildImage(node: read.Node | undefined): Pick<Analyzed, 'buildImage'> {
  if (!node) return {}
  const extend = read.flag(node, 'extend')
  return { buildImage: { ...read.optionalText(node, 'reference', 'reference'), extend } }
}

function readRunImage(node: read.Node | undefined): Analyzed['runImage'] {
  if (!node) return undefined
  const reference = read.text(node, 'reference') ?? ''
  const target = read.table(node, 'target')
  return {
    reference,
    ...read.optionalText(node, 'image', 'image'),
    ...(target && { target: readTarget(target) }),
    ...(read.flag(node, 'extend') && { extend: true }),
  }
}

/** The specification's key is `variant`, the Go lifecycle's `arch-variant`. */
function readTarget(node: read.Node): Target {
  const distro = read.table(node, 'distro')
  const name = distro && read.text(distro, 'name')
  return {
    os: read.requiredText(node, 'os'),
    arch: read.requiredText(node, 'arch'),
    ...read.optionalText(node, 'variant', 'variant'),
    ...read.optionalText(node, 'arch-variant', 'variant'),
    ...(distro && name && { distro: { name, version: read.text(distro, 'version') ?? '' } }),
  }
}

export function formatAnalyzed(analyzed: Analyzed): string {
  const { image, metadata, runImage, buildImage } = analyzed
  return formatToml({
    image: image && { reference: image.reference },
    metadata: metadata && writeMetadata(metadata),
    'run-image': runImage && {
      reference: runImage.reference || undefined,
      image: runImage.image,
      extend: runImage.extend || undefined,
      target: runImage.target && writeTarget(runImage.target),
    },
    'build-image': buildImage && { reference: buildImage.reference, extend: buildImage.extend ?? false },
  })
}

function writeMetadata(metadata: LayersMetadata): Readonly<Record<string, unknown>> {
  const { runImage, ...rest } = writeLayersMetadata(metadata, 'metadata')
  const { topLayer, ...run } = runImage as Readonly<Record<string, unknown>>
  return { ...rest, 'run-image': { 'top-layer': topLayer, ...run } }
}

function writeTarget(target: Target): Readonly<Record<string, unknown>> {
  return {
    os: target.os,
    arch: target.arch,
    'arch-variant': target.variant,
    distro: target.distro && { name: target.distro.name, version: target.distro.version },
  }
}
