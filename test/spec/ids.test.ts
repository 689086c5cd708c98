import { describe, expect, it } from 'vitest'
import * as ids from '../../lifecycle/spec/ids.ts'
import { errorOf, failure } from './failure.ts'

const hostile = ['', '.', '..', '/', '//', '/a', 'a/', 'a//b', './a', 'a/.', '../a', 'a/..', 'a/../../b', '__proto__']
const unprintable = ['a\nb', 'a\0b', 'a\x1b[31m', 'a\x7f', 'a\u0085b', '\t']

describe('buildpack ids', () => {
  it.each(['a', 'io.buildpacks.ruby', 'paketo-buildpacks/go', 'a/b/c', 'hello_world', 'A.b-C', 'a..b', '...'])(
    'takes %s',
    id => expect(() => ids.checkBuildpackId(id, 'x')).not.toThrow(),
  )
  it.each(hostile)('D01 refuses %j', id => {
    const error = errorOf(() => ids.checkBuildpackId(id, 'buildpack.toml:3 buildpack.id'))
    expect(error.where).toBe('buildpack.toml:3 buildpack.id')
    expect(error.message).toMatch(/cannot be a buildpack's id: it is (?:empty|not a plain name)$/)
  })
  it.each(['app', 'config', 'generated', 'sbom', 'APP', 'Config', 'sBOM'])('D04 refuses %s', id => {
    expect(failure(() => ids.checkBuildpackId(id, 'x'))).toContain(`${id.toLowerCase()} is reserved`)
  })
  it.each([...unprintable, 'x'.repeat(10_000), 'ä'.repeat(128)])(
    'D05 refuses empty, 10 kB and control characters: %j',
    id => {
      const message = failure(() => ids.checkBuildpackId(id, 'x'))
      expect(message).toMatch(/longer than 255 bytes|a control character/)
      expect(message.length).toBeLessThan(300)
      expect(message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
    },
  )
  it('turns slashes into underscores', () => expect(ids.escapeId('a/b/c_d')).toBe('a_b_c_d'))

  it('is strict when publishing', () => {
    expect(() => ids.checkPublishableId('paketo-buildpacks/go.1', 'x')).not.toThrow()
    expect(failure(() => ids.checkPublishableId('hello_world', 'x'))).toContain('write "hello-world"')
    expect(failure(() => ids.checkPublishableId('a b', 'x'))).toContain('write "a-b"')
    expect(failure(() => ids.checkPublishableId('app', 'x'))).toContain('reserved')
  })
})

describe('ids of a group', () => {
  const check = (...names: string[]) => ids.checkGroupIds(names.map(id => ({ id })))
  it('takes ids that differ', () => expect(() => check('a/b', 'a/c', 'a-b', 'ab')).not.toThrow())
  it('leaves the same id twice to those who know what it means', () => expect(() => check('a/b', 'a/b')).not.toThrow())
  it.each([
    ['D02', 'a/b', 'a_b'],
    ['D02', 'a/b_c', 'a_b/c'],
    ['D03', 'a/b', 'A/b'],
    ['D03', 'example.Ruby', 'example.ruby'],
    ['D02 D03', 'a/B', 'A_b'],
  ])('%s refuses %s beside %s', (_case, one, other) => {
    expect(failure(() => check('x/y', one, other))).toBe(
      `group: the ids "${one}" and "${other}" have the same directory; remove one of the two buildpacks from the group`,
    )
  })
})

describe('versions', () => {
  it.each(['1.2.3', 'simple_buildpack_version', '1.0.0-rc.1+build', '0'])('takes %s', version =>
    expect(() => ids.checkVersion(version, 'x')).not.toThrow(),
  )
  it.each(['', '.', '..', '/', '../../etc', '1/2', '1\\2', '__proto__', ...unprintable, '1'.repeat(300)])(
    'D06 refuses %j',
    version =>
      expect(failure(() => ids.checkVersion(version, 'x'))).toMatch(/^x: ".*cannot be a version: .*; write X\.Y\.Z/),
  )
  it.each([
    ['1.2', '1.2.0'],
    ['1', '1.0.0'],
    ['v1.2.3', '1.2.3'],
    ['01.2.3', '1.2.3'],
    ['1.2.3-rc.1', '1.2.3'],
    ['1.2.3.4', '1.2.3'],
    ['latest', '0.0.0'],
  ])('is strict when publishing: %s', (version, better) => {
    expect(failure(() => ids.checkPublishableVersion(version, 'buildpack.toml:3 buildpack.version'))).toBe(
      `buildpack.toml:3 buildpack.version: "${version}" is not X.Y.Z; write "${better}"`,
    )
  })
  it('takes X.Y.Z when publishing', () => expect(() => ids.checkPublishableVersion('10.0.21', 'x')).not.toThrow())
})

describe('layer names', () => {
  it.each(['node', 'node_modules', 'a b', 'é', 'Build', '...', 'x.sbom'])('takes %s', name =>
    expect(() => ids.checkLayerName(name, 'x')).not.toThrow(),
  )
  it.each(['...toml', '..toml', '.toml'])('D08 refuses what the file %s names', file => {
    expect(failure(() => ids.checkLayerName(file.slice(0, -'.toml'.length), file))).toContain(
      "cannot be a layer's name",
    )
  })
  it.each(['build', 'launch', 'store', 'sbom'])('D09 refuses %s', name => {
    expect(failure(() => ids.checkLayerName(name, '/layers/a/x.toml'))).toBe(
      `/layers/a/x.toml: "${name}" cannot be a layer's name: ${name} is reserved; the buildpack must give its layer another name`,
    )
  })
  it.each(['a/b', '/', '\\', '__proto__', ...unprintable])('refuses %j', name => {
    expect(() => ids.checkLayerName(name, 'x')).toThrow("cannot be a layer's name")
  })
})

describe('process types', () => {
  it.each(['web', 'Worker-2', 'a.b_c', '...'])('takes %s', type =>
    expect(() => ids.checkProcessType(type, 'x')).not.toThrow(),
  )
  it.each(['', '.', '..', '/', 'a/b', '../web', 'we b', 'web\n', 'é', '$(id)', '"', 'x'.repeat(300), '__proto__'])(
    'D13 L06 refuses %j',
    type =>
      expect(failure(() => ids.checkProcessType(type, 'x'))).toMatch(
        /^x: ".*cannot be a process type: .*; use a plain name/,
      ),
  )
})
