import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { assembleImage, inManifestFormat, makeImage, sizeOf } from '../../lifecycle/image/image.ts'
import { makeAppImage } from '../../lifecycle/image/app-image.ts'
import { docker, oci } from '../../lifecycle/image/media-types.ts'
import { rebaseImage } from '../../lifecycle/image/rebased-image.ts'
import { parseConfig, parseManifest } from '../../lifecycle/image/validate.ts'
import { configOf, layerOf } from '../helpers/images.ts'

const layers = await Promise.all([
  layerOf({ '/a': 'a' }, 'gzip'),
  layerOf({ '/b': 'b' }, 'none'),
  layerOf({ '/c': 'c' }, 'zstd'),
])

describe('makeImage', () => {
  it('takes diff_ids and descriptors from the layers', () => {
    const image = makeImage(configOf({ author: 'bale' }), layers)
    expect(image.config.rootfs.diff_ids).toEqual(layers.map(l => l.diffId))
    expect(image.config.author).toBe('bale')
    expect(image.manifest.layers).toEqual(layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })))
    expect(image.manifest.mediaType).toBe(oci.manifest)
  })

  it('is named by its bytes', () => {
    const image = makeImage(configOf(), layers)
    expect(image.digest).toBe(digestOf(image.manifestBytes))
    expect(image.imageId).toBe(digestOf(image.configBytes))
    expect(image.manifest.config).toEqual({
      mediaType: oci.config,
      digest: image.imageId,
      size: image.configBytes.length,
    })
    expect(sizeOf(image)).toBe(
      image.manifestBytes.length + image.configBytes.length + layers.reduce((sum, l) => sum + l.size, 0),
    )
  })

  it('has the same bytes each time, and others for another order of layers', () => {
    const again = makeImage(configOf(), [...layers])
    expect(again.digest).toBe(makeImage(configOf(), layers).digest)
    expect(makeImage(configOf(), layers.toReversed()).digest).not.toBe(again.digest)
  })

  it.each([
    ['docker', docker, 'oci', oci],
    ['oci', oci, 'docker', docker],
  ] as const)('writes the media types of one family: %s', (format, types, before, others) => {
    const mixed = makeImage(configOf(), layers, before).manifest.layers
    expect(mixed.map(l => l.mediaType)).toEqual([others.layerGzip, others.layer, others.layerZstd])
    const image = makeImage(
      configOf(),
      layers.map((l, i) => ({ ...l, mediaType: mixed[i]!.mediaType })),
      format,
    )
    expect(image.manifest.mediaType).toBe(types.manifest)
    expect(image.manifest.config.mediaType).toBe(types.config)
    expect(image.manifest.layers.map(l => l.mediaType)).toEqual([types.layerGzip, types.layer, types.layerZstd])
  })

  it('is what its own bytes say when they are read again', () => {
    const image = makeImage(configOf({ history: [{ created_by: 'x', empty_layer: true }] }), layers)
    const manifest = parseManifest(image.manifestBytes, 'manifest')
    const config = parseConfig(image.configBytes, 'config')
    expect(manifest).toEqual(image.manifest)
    expect(config).toEqual(image.config)
    expect(assembleImage(image.manifestBytes, image.manifest, image.configBytes, config, layers)).toEqual(image)
  })
})

describe('an app image', () => {
  const options = {
    labels: {},
    env: {},
    entrypoint: '/cnb/lifecycle/launcher',
    workingDir: '/workspace',
    created: '',
    keepFormat: true,
  }
  const [gzip, plain, zstd] = layers

  it.each([
    ['docker', gzip, docker],
    ['oci', gzip, oci],
    // Docker's format has no zstd.
    ['docker', zstd, oci],
    ['oci', zstd, oci],
  ] as const)("has its run image's format throughout: %s (%#)", (format, added, types) => {
    const runImage = makeImage(configOf(), [gzip, plain], format)
    const app = makeAppImage(runImage, [{ layer: added, createdBy: 'app' }], options)
    expect(app.manifest.mediaType).toBe(types.manifest)
    expect(app.manifest.config.mediaType).toBe(types.config)
    const elsewhere = makeAppImage(runImage, [{ layer: added, createdBy: 'app' }], { ...options, keepFormat: false })
    expect(elsewhere.manifest.mediaType).toBe(oci.manifest)
    const last = added === zstd ? types.layerZstd : types.layerGzip
    expect(app.manifest.layers.map(l => l.mediaType)).toEqual([types.layerGzip, types.layer, last])
    const change = { below: 2, labels: {}, labelPrefixes: [], created: '' }
    const rebased = rebaseImage(app, makeImage(configOf(), [plain], 'oci'), change)
    expect(rebased.manifest.mediaType).toBe(types.manifest)
    expect(rebased.manifest.layers.map(l => l.mediaType)).toEqual([types.layer, last])
  })
})

describe('inManifestFormat', () => {
  const plain = layers.slice(0, 2)
  const family = (types: typeof docker | typeof oci) => [types.manifest, types.config, types.layerGzip, types.layer]
  const typesOf = ({ manifest }: ReturnType<typeof makeImage>) => [
    manifest.mediaType,
    manifest.config.mediaType,
    ...manifest.layers.map(l => l.mediaType),
  ]

  it.each([
    ['docker', docker],
    ['oci', oci],
  ] as const)('changes every media type to those of %s, and nothing else', (format, types) => {
    for (const before of ['oci', 'docker'] as const) {
      const image = makeImage(configOf(), plain, before)
      const changed = inManifestFormat(image, format, 'app')
      expect(typesOf(changed)).toEqual(family(types))
      expect(changed.configBytes).toEqual(image.configBytes)
      expect(changed.digest).toBe(digestOf(changed.manifestBytes))
      if (before === format) expect(changed.digest).toBe(image.digest)
    }
  })

  it('mends what a rewriting program left: Docker types with layers of OCI', () => {
    const image = makeImage(configOf(), plain)
    const manifest = { ...image.manifest, mediaType: docker.manifest }
    const mixed = assembleImage(image.manifestBytes, manifest, image.configBytes, image.config, image.layers)
    expect(typesOf(inManifestFormat(mixed, 'docker', 'app'))).toEqual(family(docker))
  })

  it('refuses what Docker does not have', () => {
    expect(() => inManifestFormat(makeImage(configOf(), layers), 'docker', 'app')).toThrow('compressed with zstd')
    const annotated = makeImage(configOf(), plain, 'oci', { a: 'b' })
    expect(() => inManifestFormat(annotated, 'docker', 'app')).toThrow('annotations')
    expect(inManifestFormat(annotated, 'oci', 'app').digest).toBe(annotated.digest)
  })
})
