import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Index, Platform } from '../../lifecycle/image/manifest.ts'
import { docker, oci } from '../../lifecycle/image/media-types.ts'
import { checkLayerCount, parseConfig, parseManifest, selectPlatform } from '../../lifecycle/image/validate.ts'

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const a = digestOf('a')
const b = digestOf('b')

const config = { mediaType: oci.config, digest: a, size: 10 }
const layer = { mediaType: oci.layerGzip, digest: b, size: 20 }
const manifest = { schemaVersion: 2, mediaType: oci.manifest, config, layers: [layer] }
const image = { mediaType: oci.manifest, digest: a, size: 1, platform: { os: 'linux', architecture: 'amd64' } }
const index = { schemaVersion: 2, mediaType: oci.index, manifests: [image] }

/** What is wrong with it: place and message in one text. */
function problem(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof BaleError)) throw error
    expect(error.code).toBe('input')
    expect(error.message.length).toBeLessThan(400)
    expect(error.message).not.toMatch(/[\u0000-\u001f]/)
    return `${error.where}: ${error.message}`
  }
  return expect.unreachable('it was accepted')
}
const ofManifest = (value: unknown) => problem(() => parseManifest(bytes(value), 'M'))
const ofConfig = (value: unknown) => problem(() => parseConfig(bytes(value), 'C'))

describe('parseManifest', () => {
  it('takes a manifest and an index of either family', () => {
    expect(parseManifest(bytes(manifest), 'M')).toEqual(manifest)
    expect(parseManifest(bytes(index), 'M')).toEqual(index)
    const inDocker = {
      schemaVersion: 2,
      mediaType: docker.manifest,
      config: { ...config, mediaType: docker.config },
      layers: [{ ...layer, mediaType: docker.layerGzip }],
    }
    expect(parseManifest(bytes(inDocker), 'M')).toEqual(inDocker)
    expect(parseManifest(bytes({ ...index, mediaType: docker.index }), 'M')).toMatchObject({ mediaType: docker.index })
  })

  it('fills in the media type that OCI leaves out', () => {
    expect(parseManifest(bytes({ ...manifest, mediaType: undefined }), 'M')).toEqual(manifest)
    expect(parseManifest(bytes({ ...index, mediaType: undefined }), 'M')).toEqual(index)
  })

  it("takes Go's null for nothing, and keeps what it does not know", () => {
    const parsed = parseManifest(bytes({ ...manifest, layers: null, annotations: null, subject: config }), 'M')
    expect(parsed).toMatchObject({ layers: [], subject: config })
    expect(parsed.annotations).toBeUndefined()
    expect(parseManifest(bytes({ ...index, manifests: null }), 'M')).toMatchObject({ manifests: [] })
  })

  it('R31 refuses what is an index and an image at once', () => {
    expect(ofManifest({ ...manifest, manifests: [image] })).toBe(
      'M: has the fields of an index and of an image manifest',
    )
    expect(ofManifest({ ...index, layers: [] })).toContain('the fields of an index and of an image')
    expect(ofManifest({ ...index, config: null })).toContain('the fields of an index and of an image')
    expect(ofManifest({ ...manifest, mediaType: oci.index })).toContain("not an image manifest's")
    expect(ofManifest({ ...index, mediaType: docker.manifest })).toContain("not an index's")
    expect(ofManifest({ schemaVersion: 2 })).toContain('neither an image manifest nor an index')
  })

  it('R32 refuses keys that differ by case only, and a key twice', () => {
    expect(ofManifest({ ...manifest, Layers: [] })).toBe('M: has the key "Layers", which must be spelled "layers"')
    expect(ofManifest({ ...manifest, Manifests: [image] })).toContain('the fields of an index and of an image')
    expect(ofManifest({ ...manifest, config: { ...config, Digest: b } })).toBe(
      'M config: has the key "Digest", which must be spelled "digest"',
    )
    const twice = JSON.stringify(manifest).replace('{', '{"layers":[],')
    expect(ofManifest(twice)).toBe('M: has the key "layers" twice in one object')
    // The same key, written with an escape.
    expect(ofManifest(JSON.stringify(manifest).replace('{', '{"\\u006cayers":[],'))).toContain('"layers" twice')
  })

  it('R33 refuses schema 1', () => {
    expect(ofManifest({ schemaVersion: 1, name: 'x', fsLayers: [], history: [] })).toContain(
      'schema 1, which is obsolete',
    )
    expect(ofManifest({ ...manifest, schemaVersion: 3 })).toBe('M schemaVersion: is 3, not 2')
    expect(ofManifest({ ...manifest, schemaVersion: '2' })).toBe('M schemaVersion: is "2", not 2')
  })

  it('R34 refuses 10,000 entries', () => {
    const many = Array.from({ length: 10_000 }, () => image)
    expect(ofManifest({ ...index, manifests: many })).toBe('M manifests: has 10000 entries, more than 1000')
    expect(ofManifest({ ...manifest, layers: many.map(() => layer) })).toContain('10000 entries, more than 1000')
  })

  it.each([
    `sha512:${'a'.repeat(128)}`,
    'sha256:../../../etc/passwd',
    `sha256:${'A'.repeat(64)}`,
    '',
    null,
    { toString: 1 },
  ])('R37 refuses the digest %j', digest => {
    expect(ofManifest({ ...manifest, layers: [layer, { ...layer, digest }] })).toMatch(
      /^M layers\[1\]\.digest: .* is not sha256: and 64 hex digits$/,
    )
  })

  it.each(['-1', '9007199254740993', '1e400', '0.5', '"20"', 'null'])('R38 refuses the size %s', size => {
    const text = JSON.stringify(manifest).replace('"size":20', `"size":${size}`)
    expect(ofManifest(text)).toMatch(/^M layers\[0\]\.size: .* is not a size in bytes$/)
  })

  it('R18 refuses foreign layers', () => {
    for (const mediaType of [
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    ]) {
      const foreign = { ...layer, mediaType, urls: ['http://169.254.169.254/latest'] }
      const text = ofManifest({ ...manifest, layers: [foreign] })
      expect(text).toBe('M layers[0].mediaType: is a foreign layer, which is not fetched from its URL')
    }
  })

  it('refuses what is not a container image', () => {
    expect(
      ofManifest({ ...manifest, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } }),
    ).toBe(
      'M config.mediaType: is "application/vnd.cncf.helm.config.v1+json": not a container image, but another artifact',
    )
    expect(ofManifest({ ...manifest, layers: [{ ...layer, mediaType: 'text/x' }] })).toContain(
      'not a layer of a container',
    )
    for (const value of [null, [], 'x', 7]) expect(ofManifest(JSON.stringify(value))).toBe('M: is not a JSON object')
    for (const layers of [{}, 'x', 7]) expect(ofManifest({ ...manifest, layers })).toBe('M layers: is not a list')
    expect(ofManifest({ ...manifest, layers: [[]] })).toBe('M layers[0]: is not an object')
    expect(ofManifest({ ...manifest, config: undefined })).toBe('M config: is missing')
  })

  it('P05 gives no key a meaning that it does not have', () => {
    const text = JSON.stringify(manifest).replace('{', '{"__proto__":{"manifests":[]},"constructor":{"x":1},')
    const parsed = parseManifest(bytes(text), 'M')
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
    expect('manifests' in parsed).toBe(false)
    expect(ofManifest('{"__proto__":{"schemaVersion":2,"layers":[],"config":{}}}')).toContain('neither an image')
  })

  it('P08 P10 P02 refuses what is not a JSON document', () => {
    expect(ofManifest('')).toBe('M: is empty')
    expect(ofManifest('{"schemaVersion":2')).toBe('M: is not JSON')
    expect(ofManifest(`\ufeff${JSON.stringify(manifest)}`)).toBe('M: is not JSON')
    expect(problem(() => parseManifest(Uint8Array.of(0x7b, 0xff, 0x7d), 'M'))).toBe('M: is not UTF-8')
    expect(ofManifest(`${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`)).toMatch(/^M: is (not JSON|nested deeper)/)
    expect(ofManifest({ ...manifest, x: JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) as unknown })).toBe(
      'M: is nested deeper than 64',
    )
  })

  it('P12 does not quote a document that is not JSON', () => {
    expect(ofManifest('password: hunter2')).not.toContain('hunter2')
  })
})

describe('parseConfig', () => {
  const whole = {
    architecture: 'amd64',
    os: 'linux',
    config: {
      User: '1000:1000',
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=b'],
      Entrypoint: null,
      Cmd: ['/bin/sh'],
      Labels: { x: 'y', X: 'z', constructor: 'kept' },
      OnBuild: null,
    },
    rootfs: { type: 'layers', diff_ids: [a] },
    history: [{ created: '1980-01-01T00:00:01Z', created_by: 'x', empty_layer: true }],
    container_config: { Hostname: 'x' },
    docker_version: '20',
  }

  it('takes a config and keeps what it does not know', () => {
    expect(parseConfig(bytes(whole), 'C')).toEqual(whole)
  })

  it("takes Go's null for nothing", () => {
    const parsed = parseConfig(
      bytes({ architecture: '', os: 'linux', config: null, history: null, rootfs: { type: 'layers', diff_ids: null } }),
      'C',
    )
    expect(parsed.rootfs.diff_ids).toEqual([])
    expect(parsed.config).toBeUndefined()
    expect(parsed.history).toBeUndefined()
  })

  it.each([
    [{ ...whole, rootfs: undefined }, 'C rootfs: is missing'],
    [{ ...whole, os: 7 }, 'C os: is not a string'],
    [{ ...whole, rootfs: { type: 'x', diff_ids: [] } }, 'C rootfs.type: is "x", not "layers"'],
    [{ ...whole, rootfs: { type: 'layers', diff_ids: ['sha256:..'] } }, 'C rootfs.diff_ids[0]: "sha256:.."'],
    [{ ...whole, config: { Env: 'A=b' } }, 'C config.Env: is not a list of strings'],
    [{ ...whole, config: { Env: [1] } }, 'C config.Env[0]: is not a string'],
    [{ ...whole, config: { Labels: { x: 1 } } }, 'C config.Labels: is not an object of strings'],
    [{ ...whole, config: { ExposedPorts: ['80'] } }, 'C config.ExposedPorts: is not an object of objects'],
    [{ ...whole, config: [] }, 'C config: is not an object'],
    [{ ...whole, history: {} }, 'C history: is not a list'],
  ])('refuses a wrong one (%#)', (value, message) => {
    expect(ofConfig(value)).toContain(message)
  })

  it('R32 refuses keys that differ by case only', () => {
    expect(ofConfig({ ...whole, config: { Env: [], env: ['PATH=/evil'] } })).toBe(
      'C config: has the key "env", which must be spelled "Env"',
    )
    expect(ofConfig({ ...whole, RootFS: {} })).toContain('"RootFS", which must be spelled "rootfs"')
  })
})

describe('checkLayerCount', () => {
  it('R36 refuses a config whose diff_ids are more or fewer than the layers', () => {
    const parsed = parseManifest(bytes(manifest), 'M')
    if (!('layers' in parsed)) return expect.unreachable()
    const of = (diff_ids: unknown[]) =>
      parseConfig(bytes({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids } }), 'C')
    expect(problem(() => checkLayerCount(parsed, of([]), 'I'))).toBe(
      'I: the manifest has 1 layers, but its config has 0 diff_ids',
    )
    expect(problem(() => checkLayerCount(parsed, of([a, b]), 'I'))).toContain('2 diff_ids')
    checkLayerCount(parsed, of([a]), 'I')
  })
})

describe('selectPlatform', () => {
  const at = (name: string, platform?: Platform, mediaType: string = oci.manifest) => ({
    mediaType,
    digest: digestOf(name),
    size: 1,
    platform,
  })
  const parse = (...manifests: object[]): Index => parseManifest(bytes({ ...index, manifests }), 'M') as Index
  const linux = (architecture: string, variant?: string): Platform => ({
    os: 'linux',
    architecture,
    ...(variant && { variant }),
  })
  const select = (from: Index, platform: Platform) => selectPlatform(from, platform, 'I').digest

  it('gives the first image of the platform', () => {
    const some = parse(
      at('1', linux('amd64')),
      at('2', linux('arm64')),
      at('3', { os: 'windows', architecture: 'amd64' }),
    )
    expect(select(some, linux('amd64'))).toBe(digestOf('1'))
    expect(select(some, linux('arm64'))).toBe(digestOf('2'))
    expect(select(some, { os: 'windows', architecture: 'amd64' })).toBe(digestOf('3'))
  })

  it('knows which variants mean the same', () => {
    const arm = parse(at('5', linux('arm', 'v5')), at('7', linux('arm', 'v7')), at('8', linux('arm64', 'v8')))
    expect(select(arm, linux('arm', 'v5'))).toBe(digestOf('5'))
    expect(select(arm, linux('arm'))).toBe(digestOf('7'))
    expect(select(arm, linux('arm64'))).toBe(digestOf('8'))
    expect(select(parse(at('8', linux('arm64'))), linux('arm64', 'v8'))).toBe(digestOf('8'))
    expect(select(parse(at('5', linux('arm', 'v5'))), linux('arm'))).toBe(digestOf('5'))
    expect(problem(() => select(arm, linux('arm', 'v6')))).toContain(
      'has no image for linux/arm/v6; it has linux/arm/v5, linux/arm/v7, linux/arm64/v8',
    )
  })

  it('looks at the version of the system where it is asked for', () => {
    const windows = (version: string): Platform => ({ os: 'windows', architecture: 'amd64', 'os.version': version })
    const both = parse(at('1', windows('10.0.1')), at('2', windows('10.0.2')))
    expect(select(both, windows('10.0.2'))).toBe(digestOf('2'))
  })

  it('R35 takes the first of duplicates, and a sole image without a platform', () => {
    expect(select(parse(at('1', linux('amd64')), at('2', linux('amd64'))), linux('amd64'))).toBe(digestOf('1'))
    expect(select(parse(at('1')), linux('amd64'))).toBe(digestOf('1'))
    expect(problem(() => select(parse(at('1'), at('2')), linux('amd64')))).toBe(
      'I: has no image for linux/amd64; it names no platform',
    )
    expect(problem(() => select(parse(), linux('amd64')))).toContain('it names no platform')
  })

  it('does not offer attestations', () => {
    const attested = parse(at('1', linux('amd64')), at('2', { os: 'unknown', architecture: 'unknown' }))
    expect(problem(() => select(attested, linux('s390x')))).toBe('I: has no image for linux/s390x; it has linux/amd64')
  })

  it('R34 does not follow an index within the index', () => {
    const nested = parse(at('1', linux('amd64'), oci.index), at('2', undefined, docker.index))
    expect(problem(() => select(nested, linux('amd64')))).toContain('further indexes, which are not followed')
  })

  it('escapes what a hostile index calls its platforms', () => {
    expect(problem(() => select(parse(at('1', linux('\u001b[2J\n'))), linux('amd64')))).toContain('linux/\\u001b[2J\\n')
  })
})
