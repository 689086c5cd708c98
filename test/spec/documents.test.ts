import { describe, expect, it } from 'vitest'
import { parseBuildToml } from '../../lifecycle/spec/build-toml.ts'
import { parseBuildpack } from '../../lifecycle/spec/buildpack.ts'
import { parseExtension } from '../../lifecycle/spec/buildpack.ts'
import { formatGroup, parseGroup } from '../../lifecycle/spec/group.ts'
import { formatLayerToml, parseLayerToml } from '../../lifecycle/spec/layer.ts'
import { formatOrder, parseOrder } from '../../lifecycle/spec/order.ts'
import { parseProjectMetadata } from '../../lifecycle/spec/project.ts'
import { formatReport } from '../../lifecycle/spec/report.ts'
import { parseRun, parseStack } from '../../lifecycle/spec/run.ts'
import { formatStore, parseStore } from '../../lifecycle/spec/store.ts'
import { parseSystem, withSystem } from '../../lifecycle/spec/system.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { failure } from './failure.ts'

describe('buildpack.toml', () => {
  const minimal = 'api = "0.12"\n[buildpack]\nid = "a/b"\nversion = "1.2.3"\n'
  const parse = (text: string) => parseBuildpack(text, 'buildpack.toml')
  const fails = (text: string) => failure(() => parse(text))

  it('reads all there is', () => {
    const text = `
      api = "0.12"
      [buildpack]
      id = "example/ruby"
      name = "Ruby"
      version = "1.2.3"
      homepage = "https://example.com"
      clear-env = true
      description = "Runs Ruby"
      keywords = ["ruby"]
      sbom-formats = ["application/vnd.cyclonedx+json"]
      [[buildpack.licenses]]
      type = "MIT"
      [[buildpack.exec-env]]
      name = "production"
      [[buildpack.exec-env]]
      name = "test"
      [[targets]]
      os = "linux"
      arch = "arm64"
      variant = "v8"
      [[targets.distros]]
      name = "debian"
      version = "13"
      [[targets]]
      arch-variant = "v7"
      [metadata]
      anything = [1, { x = "y" }]`
    expect(parse(text)).toEqual({
      api: '0.12',
      id: 'example/ruby',
      version: '1.2.3',
      name: 'Ruby',
      homepage: 'https://example.com',
      description: 'Runs Ruby',
      clearEnv: true,
      sbomFormats: ['application/vnd.cyclonedx+json'],
      execEnv: ['production', 'test'],
      targets: [
        { os: 'linux', arch: 'arm64', variant: 'v8', distros: [{ name: 'debian', version: '13' }] },
        { variant: 'v7', distros: [] },
      ],
      stacks: [],
      metadata: { anything: [1, { x: 'y' }] },
    })
  })
  it('reads a minimal one', () => {
    expect(parse(minimal)).toEqual({
      api: '0.12',
      id: 'a/b',
      version: '1.2.3',
      clearEnv: false,
      sbomFormats: [],
      execEnv: [],
      targets: [],
      stacks: [],
      metadata: {},
    })
  })
  it('reads exec-env as strings too', () => {
    expect(parse(minimal + 'exec-env = ["test", "*"]').execEnv).toEqual(['test', '*'])
    expect(fails(minimal + 'exec-env = ["a/b"]')).toContain('"a/b" is not an execution environment')
  })
  it('reads an order, which makes it a composite', () => {
    const order = '[[order]]\n[[order.group]]\nid = "c"\nversion = "1"\noptional = true\nexec-env = ["test"]\n'
    expect(parse(minimal + order).order).toEqual([[{ id: 'c', version: '1', optional: true, execEnv: ['test'] }]])
  })
  it('reads stacks', () => {
    expect(parse(minimal + '[[stacks]]\nid = "*"\n[[stacks]]\nid = "x"\nmixins = ["y"]').stacks).toEqual(['*', 'x'])
  })
  it('P04 accepts unknown keys', () => expect(parse(`new = 1\n${minimal}other = { x = 1 }`).id).toBe('a/b'))

  it.each([
    ['', 'buildpack.toml api: missing; add the Buildpack API it was written for, such as api = "0.12"'],
    ['api = "0.12"', 'buildpack.toml buildpack: missing; add [buildpack] with an id and a version'],
    ['api = "0.12"\n[buildpack]\nversion = "1.0.0"', 'buildpack.toml:2 buildpack.id: missing; add id = …'],
    ['api = 0.12\n[buildpack]', 'buildpack.toml:1 api: not a string but a number'],
    ['api = ""', 'buildpack.toml:1 api: empty; add the Buildpack API'],
    ['api = "0.12"\nbuildpack = "x"', 'buildpack.toml:2 buildpack: not a table but a string'],
    ['api = "0.12"\n[buildpack]\nid = ["x"]', 'buildpack.toml:3 buildpack.id: not a string but an array'],
    ['api = "0.12"\n[buildpack]\nid = ".."', 'buildpack.toml:3 buildpack.id: ".." cannot be a buildpack\'s id'],
    [
      'api = "0.12"\n[buildpack]\nid = "a"\nversion = "../1"',
      'buildpack.toml:4 buildpack.version: "../1" cannot be a version',
    ],
    [minimal + 'clear-env = "yes"', 'buildpack.toml:5 buildpack.clear-env: not true or false but a string'],
    [minimal + 'name = "a\\u0000b"', 'buildpack.toml:5 buildpack.name: a string holds a NUL character'],
    [minimal + 'sbom-formats = "x"', 'buildpack.toml:5 buildpack.sbom-formats: not an array of strings but a string'],
    [minimal + '[targets]', 'buildpack.toml:5 targets: not an array of tables but a table'],
    [minimal + '[[targets]]\nos = 1', 'buildpack.toml:6 targets[0].os: not a string but a number'],
    [minimal + '[[stacks]]', 'buildpack.toml:5 stacks[0].id: missing'],
    ['order = []\n' + minimal, 'buildpack.toml:1 order: an order without groups'],
    [minimal + '[[order]]', 'buildpack.toml:5 order[0].group: a group has no buildpacks'],
    [minimal + '[[order]]\n[[order.group]]\nversion = "1"', 'buildpack.toml:6 order[0].group[0].id: missing'],
    [
      minimal + '[[stacks]]\nid = "*"\n[[order]]\n[[order.group]]\nid = "a"',
      'buildpack.toml:5 stacks: a buildpack with an order cannot have stacks',
    ],
    [
      minimal + '[metadata]\na = ' + '['.repeat(70) + ']'.repeat(70),
      'buildpack.toml:5 metadata: nested deeper than 64',
    ],
  ])('P03 names file, line and key: %j', (text, message) => {
    expect(fails(text)).toContain(message)
  })
  it('is strict when it is to be published', () => {
    const publish = (text: string) => failure(() => parseBuildpack(text, 'buildpack.toml', 'publish'))
    expect(publish('api = "0.12"\n[buildpack]\nversion = "1.2"\nid = "a"')).toBe(
      'buildpack.toml:3 buildpack.version: "1.2" is not X.Y.Z; write "1.2.0"',
    )
    expect(publish('api = "0.12"\n[buildpack]\nid = "a_b"')).toContain('buildpack.toml:3 buildpack.id: "a_b" cannot')
    expect(parseBuildpack(minimal, 'buildpack.toml', 'publish').id).toBe('a/b')
  })
})

describe('order.toml', () => {
  const text = `
[[order]]
[[order.group]]
id = "a/b"
version = "1.2.3"
[[order.group]]
id = "c"
version = "4"
optional = true
exec-env = ["test"]

[[order]]
[[order.group]]
id = "d"
[[order-extensions]]
[[order-extensions.group]]
id = "e"
version = "1"
`
  const order = {
    groups: [
      [
        { id: 'a/b', version: '1.2.3', optional: false },
        { id: 'c', version: '4', optional: true, execEnv: ['test'] },
      ],
      [{ id: 'd', version: '', optional: false }],
    ],
    extensions: [[{ id: 'e', version: '1', optional: false }]],
  }
  it('reads groups and extensions', () => expect(parseOrder(text, 'order.toml')).toEqual(order))
  it('writes what it reads', () => expect(parseOrder(formatOrder(order), 'order.toml')).toEqual(order))
  it.each([
    ['', 'order.toml order: the order has no groups; add [[order]]'],
    ['[[order]]', 'order.toml:1 order[0].group: a group has no buildpacks'],
    ['[[order]]\n[[order.group]]\nid = "../x"', 'order.toml:3 order[0].group[0].id: "../x" cannot be'],
    ['[[order]]\ngroup = ["x"]', 'order.toml:2 order[0].group: not a table but a string'],
  ])('refuses %j', (bad, message) => expect(failure(() => parseOrder(bad, 'order.toml'))).toContain(message))
})

describe('system.toml', () => {
  it('puts the operator’s buildpacks around each group, unless it has them', () => {
    const system = parseSystem(
      `[[system.pre.buildpacks]]\nid = "first"\nversion = "1"\noptional = true\n
       [[system.post.buildpacks]]\nid = "last"\nversion = "2"`,
      'system.toml',
    )
    const order = parseOrder(
      '[[order]]\n[[order.group]]\nid = "a"\n[[order]]\n[[order.group]]\nid = "last"\nversion = "9"',
      'order.toml',
    )
    const groups = withSystem(order, system).groups
    expect(groups.map(g => g.map(e => `${e.id}@${e.version}`))).toEqual([
      ['first@1', 'a@', 'last@2'],
      ['first@1', 'last@9'],
    ])
    expect(groups[0]?.[0]?.optional).toBe(true)
  })
  it('may be empty', () => expect(parseSystem('', 'system.toml')).toEqual({ pre: [], post: [] }))
})

describe('extension.toml', () => {
  const text = 'api = "0.10"\n[extension]\nid = "a/b"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n'
  it('is read as buildpack.toml is', () => {
    expect(parseExtension(text, 'x')).toMatchObject({
      id: 'a/b',
      version: '1.0.0',
      targets: [{ os: 'linux' }],
      stacks: [],
    })
    expect(failure(() => parseExtension('api = "0.10"', 'x'))).toContain('extension: missing; add [extension]')
  })
  it('an extension has no order', () => {
    const message = 'an image extension cannot have an order; list it in [[order-extensions]]'
    expect(failure(() => parseExtension(`${text}[[order]]\n[[order.group]]\nid = "c"\n`, 'x'))).toContain(message)
  })
})

describe('group.toml', () => {
  const group = {
    buildpacks: [
      { id: 'a/b', version: '1.2.3', api: '0.12', homepage: 'https://example.com' },
      { id: 'c', version: '4.5.6', api: '0.10', optional: true },
    ],
    extensions: [{ id: 'x', version: '1.0.0', api: '0.10' }],
  }
  it('writes and reads', () => {
    expect(parseGroup(formatGroup(group), 'group.toml')).toEqual(group)
    expect(parseGroup('', 'group.toml')).toEqual({ buildpacks: [], extensions: [] })
    expect(formatGroup({ ...group, extensions: [] })).not.toContain('extensions')
  })
  const one = (id: string) => `[[group]]\nid = "${id}"\nversion = "1"\napi = "0.12"\n`
  it.each([
    ['[[group]]\nid = "a"\napi = "0.12"', 'group.toml:1 group[0].version: missing'],
    ['[[group]]\nid = "a"\nversion = "1"', 'group.toml:1 group[0].api: missing'],
    [one('..'), 'group.toml:2 group[0].id: ".." cannot be'],
    [one('a') + one('a'), 'group.toml:6 group[1].id: "a" appears twice'],
    [one('a/b') + one('a_b'), 'group.toml:1 group: the ids "a/b" and "a_b" have the same directory'],
    [one('a') + '[[group-extensions]]\nid = "x"', 'group.toml:5 group-extensions[0].version: missing'],
    [one('a') + 'extension = true', 'group.toml:5 group[0].extension: an image extension is listed as a buildpack'],
  ])('D01 D02 refuses %j', (text, message) => expect(failure(() => parseGroup(text, 'group.toml'))).toContain(message))
})

describe('<layer>.toml', () => {
  it('reads types and metadata', () => {
    expect(parseLayerToml('[types]\nlaunch = true\ncache = true\n[metadata]\nx = 1', 'a.toml')).toEqual({
      types: { launch: true, build: false, cache: true },
      metadata: { x: 1 },
    })
  })
  it('is ignored without types', () => {
    expect(parseLayerToml('', 'a.toml').types).toEqual({ launch: false, build: false, cache: false })
  })
  it('tells a buildpack that has its types in the old place', () => {
    expect(failure(() => parseLayerToml('launch = true', 'a.toml'))).toBe(
      'a.toml:1 launch: the types of a layer belong in the table [types]; write [types] above launch',
    )
    expect(parseLayerToml('launch = true\n[types]\nlaunch = true', 'a.toml').types.launch).toBe(true)
    expect(parseLayerToml('launch = false', 'a.toml').types.launch).toBe(false)
  })
  it('writes a restored one without types', () => {
    expect(formatLayerToml({ a: 'b' })).toBe('[metadata]\na = "b"\n')
    expect(formatLayerToml({}, { launch: true, build: false, cache: true })).toBe(
      '[types]\nlaunch = true\nbuild = false\ncache = true\n\n[metadata]\n',
    )
  })
  it.each([
    ['types = true', 'a.toml:1 types: not a table but a boolean'],
    ['[types]\nlaunch = 1', 'a.toml:2 types.launch: not true or false but a number'],
    ['metadata = []', 'a.toml:1 metadata: not a table but an array'],
    ['metadata = 2024-01-01', 'a.toml:1 metadata: not a table but a number or a date'],
  ])('P03 refuses %j', (text, message) => expect(failure(() => parseLayerToml(text, 'a.toml'))).toBe(message))
})

describe('build.toml and store.toml', () => {
  it('reads what is unmet', () => {
    expect(parseBuildToml('[[unmet]]\nname = "node"\n[[bom]]\nname = "x"', 'build.toml')).toEqual({ unmet: ['node'] })
    expect(parseBuildToml('', 'build.toml')).toEqual({ unmet: [] })
    expect(failure(() => parseBuildToml('[[unmet]]', 'build.toml'))).toBe(
      'build.toml:1 unmet[0].name: missing; add name = …',
    )
  })
  it('keeps a store as it is', () => {
    const metadata = { a: 1, b: { c: ['d'] } }
    expect(parseStore(formatStore(metadata), 'store.toml')).toEqual(metadata)
    expect(parseStore('', 'store.toml')).toEqual({})
  })
})

describe('run.toml and stack.toml', () => {
  it('reads images and mirrors', () => {
    const text = '[[images]]\nimage = "a/run"\nmirrors = ["b/run", ""]\n[[images]]\nimage = "c"\n[[images]]'
    expect(parseRun(text, 'run.toml')).toEqual({
      images: [
        { image: 'a/run', mirrors: ['b/run'] },
        { image: 'c', mirrors: [] },
      ],
    })
    expect(parseRun('', 'run.toml')).toEqual({ images: [] })
  })
  it('refuses mirrors without an image', () => {
    expect(failure(() => parseRun('[[images]]\nmirrors = ["b"]', 'run.toml'))).toContain(
      'run.toml:2 images[0].mirrors: ',
    )
  })
  it('reads the older file', () => {
    expect(parseStack('[run-image]\nimage = "a"\nmirrors = ["b"]', 'stack.toml')).toEqual({
      images: [{ image: 'a', mirrors: ['b'] }],
    })
    expect(parseStack('', 'stack.toml')).toEqual({ images: [] })
  })
})

describe('report.toml', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  it('has one line with the word digest, whatever the tags are', () => {
    const text = formatReport({
      tags: ['reg.example/digest-app:digest', 'reg.example/b'],
      digest,
      imageId: 'sha256:id',
      manifestSize: 1234567,
    })
    expect(text.split('\n').filter(line => line.includes('digest'))).toEqual([`digest = "${digest}"`])
    expect(text).toContain('\nmanifest-size = 1234567\n')
    expect(parseToml(text, 'report.toml')).toEqual({
      image: {
        tags: ['reg.example/digest-app:digest', 'reg.example/b'],
        digest,
        'image-id': 'sha256:id',
        'manifest-size': 1234567,
      },
    })
  })
  it('leaves out what there is not', () => {
    expect(formatReport({ tags: ['a'], imageId: 'x' })).toBe('[image]\ntags = ["a"]\nimage-id = "x"\n')
  })
})

describe('project-metadata.toml', () => {
  it('reads the source', () => {
    const text = '[source]\ntype = "git"\n[source.version]\ncommit = "abc"\n[source.metadata]\nrepository = "x"'
    expect(parseProjectMetadata(text, 'x')).toEqual({
      source: { type: 'git', version: { commit: 'abc' }, metadata: { repository: 'x' } },
    })
    expect(parseProjectMetadata('', 'x')).toEqual({})
    expect(parseProjectMetadata('[source]', 'x')).toEqual({ source: {} })
  })
})
