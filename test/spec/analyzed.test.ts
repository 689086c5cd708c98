import { describe, expect, it } from 'vitest'
import { formatAnalyzed, parseAnalyzed } from '../../lifecycle/spec/analyzed.ts'
import type { Analyzed } from '../../lifecycle/spec/types.ts'
import { failure } from './failure.ts'

const analyzed: Analyzed = {
  image: { reference: 'reg.example/app@sha256:1' },
  metadata: {
    app: [{ sha: 'sha256:a' }],
    sbom: { sha: 'sha256:s' },
    buildpacks: [
      {
        key: 'example/node',
        version: '1.2.3',
        layers: {
          'node modules': { sha: 'sha256:l', data: { a: [1, { b: 'c' }] }, build: true, launch: true, cache: false },
        },
        store: { kept: true },
      },
    ],
    config: { sha: 'sha256:c' },
    launcher: { sha: 'sha256:la' },
    processTypes: { sha: 'sha256:p' },
    runImage: { topLayer: 'sha256:t', reference: 'reg.example/run@sha256:2', image: 'reg.example/run', mirrors: ['m'] },
  },
  runImage: {
    reference: 'reg.example/run@sha256:2',
    image: 'reg.example/run',
    extend: true,
    target: { os: 'linux', arch: 'arm64', variant: 'v8', distro: { name: 'debian', version: '13' } },
  },
}

describe('analyzed.toml', () => {
  it('gives back what was written', () => {
    expect(parseAnalyzed(formatAnalyzed(analyzed), 'analyzed.toml')).toEqual(analyzed)
    expect(parseAnalyzed(formatAnalyzed({}), 'analyzed.toml')).toEqual({})
  })
  it('writes the names that platforms know', () => {
    const text = formatAnalyzed(analyzed)
    expect(text).toContain('[image]\nreference = "reg.example/app@sha256:1"\n')
    expect(text).toContain('[run-image.target]\nos = "linux"\narch = "arm64"\narch-variant = "v8"\n')
    expect(text).toContain('[run-image.target.distro]\nname = "debian"\nversion = "13"\n')
  })
  it.each(['variant', 'arch-variant'])('reads the target’s %s', key => {
    const text = `[run-image]\nreference = "x"\n[run-image.target]\nos = "linux"\narch = "arm"\n${key} = "v7"`
    expect(parseAnalyzed(text, 'x').runImage?.target).toEqual({ os: 'linux', arch: 'arm', variant: 'v7' })
  })
  it('reads the keys of the Go lifecycle', () => {
    const text = `
[metadata]
[[metadata.buildpacks]]
key = "a"
version = "1"
[metadata.buildpacks.layers.x]
sha = "s"
launch = true
[metadata.buildpacks.layers.x.metadata]
y = 1
[metadata.run-image]
top-layer = "t"
reference = "r"`
    expect(parseAnalyzed(text, 'x').metadata).toEqual({
      app: [],
      buildpacks: [
        {
          key: 'a',
          version: '1',
          layers: { x: { sha: 's', data: { y: 1 }, build: false, launch: true, cache: false } },
        },
      ],
      runImage: { topLayer: 't', reference: 'r' },
    })
  })
  it('holds data as deep as a layer’s file may', () => {
    let data: Record<string, unknown> = { end: 1 }
    for (let i = 1; i < 64; i++) data = { a: data }
    const layer = { sha: '', data, build: false, launch: true, cache: false }
    const deep: Analyzed = { metadata: { app: [], buildpacks: [{ key: 'a', version: '1', layers: { x: layer } }] } }
    expect(parseAnalyzed(formatAnalyzed(deep), 'x').metadata?.buildpacks[0]?.layers['x']?.data).toEqual(data)
  })
  it.each([
    ['image = "x"', 'analyzed.toml:1 image: not a table but a string'],
    [
      '[run-image]\nreference = "x"\n[run-image.target]\nos = "linux"',
      'analyzed.toml:3 run-image.target.arch: missing',
    ],
    ['[[metadata.buildpacks]]\nlayers = []', 'analyzed.toml:2 metadata.buildpacks[0].layers: not a table but an array'],
  ])('X28 refuses %j', (text, message) =>
    expect(failure(() => parseAnalyzed(text, 'analyzed.toml'))).toContain(message),
  )
})
