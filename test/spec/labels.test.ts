import { describe, expect, it } from 'vitest'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import * as labels from '../../lifecycle/spec/labels.ts'
import { TomlDate, TomlFloat } from '../../lifecycle/spec/toml-values.ts'
import type { BuildMetadata, LayersMetadata } from '../../lifecycle/spec/types.ts'
import { failure } from './failure.ts'

const layer = { build: false, launch: true, cache: false }
const metadata: LayersMetadata = {
  app: [{ sha: 'sha256:a1' }, { sha: 'sha256:a2' }],
  sbom: { sha: 'sha256:s' },
  buildpacks: [
    {
      key: 'example/node',
      version: '1.2.3',
      layers: {
        modules: { sha: 'sha256:m', data: { z: 1, a: { d: 1, c: [{ f: 1, e: 2 }] } }, ...layer },
        dist: { sha: 'sha256:d', data: {}, build: true, launch: true, cache: true },
      },
      store: { b: 1, a: 2 },
    },
    { key: 'procfile', version: '2.0.0', layers: {} },
  ],
  config: { sha: 'sha256:c' },
  launcher: { sha: 'sha256:l' },
  processTypes: { sha: 'sha256:p' },
  runImage: {
    topLayer: 'sha256:t',
    reference: 'reg.example/run@sha256:r',
    image: 'reg.example/run:1',
    mirrors: ['other.example/run:1'],
  },
}

describe('io.buildpacks.lifecycle.metadata', () => {
  it('has the key order that others write, maps sorted', () => {
    expect(labels.formatLayersMetadata(metadata)).toBe(
      '{"app":[{"sha":"sha256:a1"},{"sha":"sha256:a2"}],"sbom":{"sha":"sha256:s"},"buildpacks":[' +
        '{"key":"example/node","version":"1.2.3","layers":{' +
        '"dist":{"sha":"sha256:d","data":{},"build":true,"launch":true,"cache":true},' +
        '"modules":{"sha":"sha256:m","data":{"a":{"c":[{"e":2,"f":1}],"d":1},"z":1},"build":false,"launch":true,"cache":false}},' +
        '"store":{"metadata":{"a":2,"b":1}}},' +
        '{"key":"procfile","version":"2.0.0","layers":{}}],' +
        '"config":{"sha":"sha256:c"},"launcher":{"sha":"sha256:l"},"process-types":{"sha":"sha256:p"},' +
        '"runImage":{"topLayer":"sha256:t","reference":"reg.example/run@sha256:r","image":"reg.example/run:1","mirrors":["other.example/run:1"]},' +
        '"stack":{"runImage":{"image":"reg.example/run:1","mirrors":["other.example/run:1"]}}}',
    )
  })
  it('gives back what was written', () => {
    expect(labels.parseLayersMetadata(labels.formatLayersMetadata(metadata), 'label')).toEqual(metadata)
  })
  it('gives kpack a stack.runImage.image it can parse even when only the reference is known', () => {
    const text = labels.formatLayersMetadata({
      app: [],
      buildpacks: [],
      runImage: { topLayer: 't', reference: 'r@sha256:1' },
    })
    expect(JSON.parse(text)).toMatchObject({ stack: { runImage: { image: 'r@sha256:1' } } })
    expect(JSON.parse(text)).not.toHaveProperty('runImage.image')
  })
  it('keeps dates, special floats and awkward keys', () => {
    const data = JSON.parse('{"__proto__":1,"10":1,"9":1}') as Record<string, unknown>
    Object.assign(data, {
      date: new TomlDate('2024-01-01'),
      nan: new TomlFloat(NaN),
      inf: -Infinity,
      one: new TomlFloat(1),
    })
    const text = labels.formatLayersMetadata({
      app: [],
      buildpacks: [{ key: 'a', version: '1', layers: { x: { sha: '', data, ...layer } } }],
    })
    expect(text).toContain('"__proto__":1,"date":"2024-01-01","inf":"-Infinity","nan":"nan","one":1}')
  })

  it.each([
    ['{}', { app: [], buildpacks: [] }],
    ['{"app":null,"buildpacks":null,"config":null,"runImage":null}', { app: [], buildpacks: [] }],
    ['{"config":{},"launcher":{"sha":""},"sbom":{"sha":"odd"}}', { app: [], buildpacks: [], sbom: { sha: 'odd' } }],
    ['{"app":[{}],"new":[1]}', { app: [{ sha: '' }], buildpacks: [] }],
    ['{"buildpacks":[{}]}', { app: [], buildpacks: [{ key: '', version: '', layers: {} }] }],
    [
      '{"buildpacks":[{"key":"a","version":"1","layers":{"x":{"sha":"odd","data":null}},"store":{}}]}',
      {
        app: [],
        buildpacks: [
          {
            key: 'a',
            version: '1',
            layers: { x: { sha: 'odd', data: {}, build: false, launch: false, cache: false } },
            store: {},
          },
        ],
      },
    ],
    ['{"buildpacks":[{"key":"a","layers":null}]}', { app: [], buildpacks: [{ key: 'a', version: '', layers: {} }] }],
    [
      '{"runImage":{"topLayer":"t","reference":"r"},"stack":{"runImage":{"image":"i","mirrors":["m"]}}}',
      { app: [], buildpacks: [], runImage: { topLayer: 't', reference: 'r', image: 'i', mirrors: ['m'] } },
    ],
    ['{"runImage":{},"stack":{"runImage":{}}}', { app: [], buildpacks: [], runImage: { topLayer: '', reference: '' } }],
    [
      '{"runImage":{"image":"i"},"stack":{"runImage":{"image":"j","mirrors":["m"]}}}',
      { app: [], buildpacks: [], runImage: { topLayer: '', reference: '', image: 'i' } },
    ],
  ])('reads %s, whatever is missing', (json, value) => {
    expect(labels.parseLayersMetadata(json, 'label')).toEqual(value)
  })

  it('P05 takes a layer named __proto__ or constructor for a name', () => {
    const json =
      '{"buildpacks":[{"key":"a","version":"1","layers":{"__proto__":{"sha":"x"},"constructor":{"sha":"y"}}}]}'
    const layers = labels.parseLayersMetadata(json, 'label').buildpacks[0]?.layers
    expect(Object.keys(layers ?? {})).toEqual(['__proto__', 'constructor'])
    expect(layers).not.toHaveProperty('toString')
    expect(({} as Record<string, unknown>)['sha']).toBeUndefined()
  })
  it.each([
    ['P10', '', 'label: not JSON'],
    ['P10', '{"app":[', 'label: not JSON'],
    ['P03', '[]', 'label: not a JSON object but an array'],
    ['P03', 'null', 'label: not a JSON object but null'],
    ['P03', '{"app":{}}', 'label app: not an array of tables but a table'],
    ['P03', '{"buildpacks":[{"layers":[]}]}', 'label buildpacks[0].layers: not a table but an array'],
    [
      'P03',
      '{"buildpacks":[{"layers":{"a b":{"launch":"yes"}}}]}',
      'label buildpacks[0].layers."a b".launch: not true or',
    ],
    ['P02', '['.repeat(1_000_000), 'label: not JSON'],
    ['P02', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'label: nested deeper than 96'],
    ['P01', `{"a":"${'x'.repeat(17 << 20)}"}`, 'label: larger than 16 MiB'],
    ['P01', `{"a":[${'1,'.repeat(300_000)}1]}`, 'label: more than 262144 values'],
  ])('%s refuses %.60j', (_case, json, message) => {
    expect(failure(() => labels.parseLayersMetadata(json, 'label'))).toContain(message)
  })
  it('P12 does not quote what is not JSON', () => {
    expect(failure(() => labels.parseLayersMetadata('hunter2', 'label'))).toBe('label: not JSON')
  })
})

describe('the cache’s metadata', () => {
  const [first] = metadata.buildpacks
  it('gives back what was written', () => {
    const cache = { sbom: { sha: 's' }, buildpacks: first ? [first] : [] }
    const text = labels.formatCacheMetadata(cache)
    expect(text).toMatch(/^\{"sbom":\{"sha":"s"\},"buildpacks":\[\{"key":"example\/node",/)
    expect(labels.parseCacheMetadata(text, 'cache')).toEqual(cache)
  })
  it('C01 C16 refuses garbage and accepts what is new', () => {
    expect(failure(() => labels.parseCacheMetadata('{"buildpacks":', 'cache'))).toBe('cache: not JSON')
    expect(labels.parseCacheMetadata('{"schema":9}', 'cache')).toEqual({ buildpacks: [] })
  })
})

describe('io.buildpacks.build.metadata', () => {
  const built: BuildMetadata = {
    buildpacks: [
      { id: 'example/node', version: '1.2.3', api: '0.12', homepage: 'https://example.com' },
      { id: 'procfile', version: '2.0.0', api: '0.10' },
    ],
    processes: [
      { type: 'worker', command: ['work', 'hard'], args: ['x'], direct: true, default: false, buildpackId: 'procfile' },
      {
        type: 'web',
        command: ['node'],
        args: [],
        direct: true,
        default: true,
        workingDir: '/x',
        execEnv: ['test'],
        buildpackId: 'example/node',
      },
    ],
    slices: [],
    labels: [],
    defaultProcessType: 'web',
  }
  const launcher = { version: '0.21.0', source: { repository: 'https://example.com/bale', commit: 'abc' } }
  const format = (api: string) => labels.formatBuildMetadataLabel(built, launcher, requirePlatformApi(api))

  it('says who built and what can be started', () => {
    expect(format('0.15')).toBe(
      '{"buildpacks":[{"id":"example/node","version":"1.2.3","homepage":"https://example.com","api":"0.12"},' +
        '{"id":"procfile","version":"2.0.0","api":"0.10"}],' +
        '"launcher":{"version":"0.21.0","source":{"git":{"repository":"https://example.com/bale","commit":"abc"}}},' +
        '"processes":[{"type":"web","command":["node"],"args":[],"direct":true,"buildpackID":"example/node","working-dir":"/x","exec-env":["test"]},' +
        '{"type":"worker","command":["work","hard"],"args":["x"],"direct":true,"buildpackID":"procfile"}],' +
        '"buildpack-default-process-type":"web"}',
    )
  })
  it('speaks to old platforms as they expect', () => {
    expect(format('0.12')).not.toContain('exec-env')
    expect(format('0.9')).toContain('"type":"worker","command":"work","args":["hard","x"]')
    expect(format('0.9')).not.toContain('"bom"')
    expect(format('0.8')).toMatch(/^\{"bom":\[\],"buildpacks":/)
  })
  it('is read back, as others write it too', () => {
    expect(labels.parseBuildMetadataLabel(format('0.15'), 'label')).toEqual({
      buildpacks: [
        { id: 'example/node', version: '1.2.3', homepage: 'https://example.com' },
        { id: 'procfile', version: '2.0.0' },
      ],
      processes: [
        { type: 'web', command: ['node'], args: [], direct: true, workingDir: '/x', buildpackId: 'example/node' },
        { type: 'worker', command: ['work', 'hard'], args: ['x'], direct: true, buildpackId: 'procfile' },
      ],
      launcherVersion: '0.21.0',
    })
    expect(labels.parseBuildMetadataLabel('{}', 'label')).toEqual({ buildpacks: [], processes: [] })
    const old = '{"bom":null,"processes":[{"type":"web","command":"node x","args":null,"direct":false}]}'
    expect(labels.parseBuildMetadataLabel(old, 'label').processes).toEqual([
      { type: 'web', command: ['node x'], args: [], direct: false },
    ])
  })
})

describe('io.buildpacks.project.metadata', () => {
  it('is {} when nothing is known', () => {
    expect(labels.formatProjectMetadata({})).toBe('{}')
    expect(labels.formatProjectMetadata({ source: {} })).toBe('{"source":{}}')
  })
  it('has sorted data', () => {
    const source = { type: 'git', version: { commit: 'c', branch: 'b' }, metadata: { z: 1, a: { c: 1, b: 2 } } }
    expect(labels.formatProjectMetadata({ source })).toBe(
      '{"source":{"type":"git","version":{"branch":"b","commit":"c"},"metadata":{"a":{"b":2,"c":1},"z":1}}}',
    )
  })
})
