import { describe, expect, it } from 'vitest'
import {
  type BuildpackEnvInput,
  type EnvFile,
  type LayerEnv,
  applyEnvFiles,
  buildpackEnv,
  inheritedEnv,
  parseEnvFile,
} from '../../lifecycle/spec/env.ts'
import { errorOf, failure } from './failure.ts'

/** Files of a directory, as a literal: `{ 'PATH.append': '/x' }`. */
const files = (values: Record<string, string>, dir = '/env'): EnvFile[] =>
  Object.entries(values).map(([name, value]) => ({ name, value, where: `${dir}/${name}` }))

const file = (name: string, content: string | Uint8Array) =>
  parseEnvFile(name, typeof content === 'string' ? new TextEncoder().encode(content) : content, `/platform/env/${name}`)

describe('parseEnvFile', () => {
  it('E02 keeps the value exactly, newlines and all', () => {
    expect(file('A.append', ' a\r\nb\n\n')).toEqual({
      name: 'A.append',
      value: ' a\r\nb\n\n',
      where: '/platform/env/A.append',
    })
    expect(file('A', '').value).toBe('')
    expect(file('A', '\ufeffx').value).toBe('\ufeffx')
  })
  it('E01 refuses a NUL', () => {
    expect(failure(() => file('A', 'x\0y'))).toBe('/platform/env/A: the variable "A" has a NUL byte in its value')
  })
  it('E03 refuses a value over 128 KiB', () => {
    const size = 128 * 1024
    expect(file('A', 'x'.repeat(size - 3)).value).toHaveLength(size - 3)
    expect(failure(() => file('A', 'x'.repeat(size - 2)))).toBe(
      '/platform/env/A: the variable "A" is longer than 128 KiB',
    )
    expect(failure(() => file('A.delim', 'x'.repeat(size)))).toContain('"A" is longer')
  })
  it('E05 refuses a file without a name', () => {
    expect(failure(() => file('', 'x'))).toBe(
      '/platform/env/: the file name has no variable; name the file after the variable',
    )
  })
  it.each(['A=B', '=', 'A=B.append', 'A\nB', 'A\0'])('E05 refuses the name %j', name => {
    expect(failure(() => file(name, 'x'))).toContain('has a character that is not allowed in a name')
  })
  it('E12 refuses what is not UTF-8', () => {
    expect(failure(() => file('A', Uint8Array.of(0x78, 0xff)))).toBe(
      '/platform/env/A: the variable "A" has a value that is not UTF-8',
    )
  })
  it('names the variable and its source, never its value', () => {
    const error = errorOf(() => file('TOKEN', 'hunter2\0'))
    expect(JSON.stringify([error.message, error.where, error.fix])).not.toContain('hunter2')
  })
})

describe('applyEnvFiles (buildpack.md, "Environment Variable Modification Rules")', () => {
  const apply = (env: Record<string, string>, values: Record<string, string>) =>
    applyEnvFiles(env, files(values), 'override')

  it.each<[string, Record<string, string>, Record<string, string>, string | undefined]>([
    ['override without a suffix', { A: 'old' }, { A: 'new' }, 'new'],
    ['override', { A: 'old' }, { 'A.override': 'new' }, 'new'],
    ['default where nothing is', {}, { 'A.default': 'new' }, 'new'],
    ['default where it is empty', { A: '' }, { 'A.default': 'new' }, 'new'],
    ['default where something is', { A: 'old' }, { 'A.default': 'new' }, 'old'],
    ['append', { A: 'old' }, { 'A.append': 'new' }, 'oldnew'],
    ['append with a delimiter', { A: 'old' }, { 'A.append': 'new', 'A.delim': ':' }, 'old:new'],
    ['append to nothing', {}, { 'A.append': 'new', 'A.delim': ':' }, 'new'],
    ['append to the empty', { A: '' }, { 'A.append': 'new', 'A.delim': ':' }, 'new'],
    ['prepend', { A: 'old' }, { 'A.prepend': 'new' }, 'newold'],
    ['prepend with a delimiter', { A: 'old' }, { 'A.prepend': 'new', 'A.delim': ' : ' }, 'new : old'],
    ['prepend to nothing', {}, { 'A.prepend': 'new', 'A.delim': ':' }, 'new'],
    ['several, by name', { A: 'x' }, { 'A.prepend': '0', 'A.append': '1', 'A.default': 'd', 'A.delim': '-' }, '0-x-1'],
    ['E10 an unknown suffix', { A: 'old' }, { 'A.replace': 'new' }, 'old'],
    ['E10 more than one suffix', { A: 'old' }, { 'A.append.bak': 'new' }, 'old'],
    ['E09 a delimiter alone', {}, { 'A.delim': ':' }, undefined],
    ['E09 no delimiter', { A: 'old' }, { 'A.append': 'new', 'B.delim': ':' }, 'oldnew'],
    ['no shell', { B: 'b' }, { A: '$B `id`' }, '$B `id`'],
  ])('%s', (_name, env, values, expected) => expect(apply(env, values)['A']).toBe(expected))

  it('E09 takes a delimiter of any length that fits', () => {
    expect(apply({ A: 'x' }, { 'A.append': 'y', 'A.delim': '-'.repeat(100_000) })['A']).toHaveLength(100_002)
  })
  it('leaves its input alone', () => {
    const env = { A: 'old' }
    apply(env, { A: 'new' })
    expect(env).toEqual({ A: 'old' })
  })
  it('takes files without a suffix for defaults where the operator says so', () => {
    expect(applyEnvFiles({ A: 'old' }, files({ A: 'new', B: 'b' }), 'default')).toEqual({ A: 'old', B: 'b' })
    expect(applyEnvFiles({ A: 'old' }, files({ 'A.override': 'new' }), 'default')).toEqual({ A: 'new' })
  })
  it('does not depend on the order of files', () => {
    const values = { 'A.prepend': '0', 'A.append': '1', 'A.delim': '-', A: 'x' }
    const forwards = applyEnvFiles({}, files(values), 'override')
    expect(applyEnvFiles({}, files(values).reverse(), 'override')).toEqual(forwards)
  })
  it('P05 takes __proto__ for a name', () => {
    const env = applyEnvFiles({}, files({ ['__proto__']: 'x', constructor: 'y' }), 'override')
    expect(Object.entries(env)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })
  it('E03 refuses a value that grows over 128 KiB, naming the file that made it', () => {
    expect(failure(() => apply({ A: 'é'.repeat(60_000) }, { 'A.append': 'é'.repeat(10_000) }))).toBe(
      '/env/A.append: the variable "A" grows beyond 128 KiB',
    )
  })
  it('E05 refuses a file that is a suffix alone, and ignores other hidden files', () => {
    expect(failure(() => apply({}, { '.append': 'x' }))).toContain('/env/.append: the file name has no variable')
    expect(apply({ A: 'a' }, { '.gitkeep': '', '.delim': ':' })).toEqual({ A: 'a' })
  })
  it('E07 refuses reserved names', () => {
    expect(failure(() => apply({}, { 'CNB_X.default': '1' }))).toBe(
      '/env/CNB_X.default: the variable "CNB_X" is reserved; use a name that does not begin with CNB_',
    )
  })
})

describe('inheritedEnv', () => {
  it('lets through what is on the list and nothing else', () => {
    const through = {
      CNB_STACK_ID: 's',
      HOSTNAME: 'h',
      HOME: '/home/cnb',
      HTTP_PROXY: '1',
      https_proxy: '2',
      no_proxy: '3',
      PATH: '/bin',
      LD_LIBRARY_PATH: '/l',
      LIBRARY_PATH: '/m',
      CPATH: '/c',
      PKG_CONFIG_PATH: '/p',
    }
    const not = {
      CNB_REGISTRY_AUTH: 'secret',
      CNB_PLATFORM_API: '0.12',
      DOCKER_CONFIG: '/x',
      LD_PRELOAD: '/evil.so',
      NODE_OPTIONS: '--require /evil.js',
      BASH_ENV: '/evil.sh',
      Path: '/x',
      EMPTY: undefined,
    }
    expect(inheritedEnv({ ...not, ...through, HOME: '/home/cnb' })).toEqual(through)
    expect(inheritedEnv({ PATH: '' })).toEqual({ PATH: '' })
  })
})

describe('buildpackEnv', () => {
  const layer = (path: string, more: Partial<LayerEnv> = {}): LayerEnv => ({
    buildpackId: path.split('/')[0] as string,
    paths: { PATH: `/layers/${path}/bin` },
    env: [],
    envBuild: [],
    ...more,
  })
  const make = (input: Partial<BuildpackEnvInput>) =>
    buildpackEnv({
      inherited: { PATH: '/bin' },
      layers: [],
      user: [],
      operator: [],
      clearEnv: false,
      provided: {},
      ...input,
    })

  it('puts later buildpacks’ paths first and each one’s layers in ascending order', () => {
    const layers = [layer('a/x'), layer('a/y'), layer('b/x'), layer('b/y'), layer('c/x')]
    expect(make({ layers })['PATH']).toBe(
      '/layers/c/x/bin:/layers/b/x/bin:/layers/b/y/bin:/layers/a/x/bin:/layers/a/y/bin:/bin',
    )
  })
  it('makes a path variable of a layer alone, without an empty part', () => {
    expect(make({ layers: [layer('a/x', { paths: { CPATH: '/i' } })] })['CPATH']).toBe('/i')
    expect(make({ inherited: { PATH: '' }, layers: [layer('a/x')] })['PATH']).toBe('/layers/a/x/bin')
  })
  it('applies env, then env.build, layer by layer', () => {
    const layers = [
      layer('a/x', { env: files({ A: '1', 'B.append': 'a' }), envBuild: files({ A: '2', 'B.append': 'b' }) }),
      layer('a/y', { env: files({ 'A.append': '3', 'C.default': 'first' }) }),
      layer('b/x', { env: files({ 'B.prepend': 'p', 'C.default': 'second' }) }),
    ]
    expect(make({ layers })).toMatchObject({ A: '23', B: 'pab', C: 'first' })
  })
  it('uses a delimiter within its layer, a directory’s own first', () => {
    const before = layer('a/a', { env: files({ A: '0', B: '0' }) })
    const both = layer('a/b', {
      env: files({ 'A.append': '1', 'A.delim': ',', 'B.append': '1' }),
      envBuild: files({ 'A.append': '2', 'A.delim': ';', 'B.delim': '+' }),
    })
    const after = layer('b/a', { env: files({ 'A.append': '3' }) })
    expect(make({ layers: [before, both, after] })).toMatchObject({ A: '0,1;23', B: '0+1' })
  })
  it('lets the user override, and prepend to path variables', () => {
    const layers = [layer('a/x', { env: files({ BP_X: 'layer' }) })]
    const user = files({ BP_X: 'user', PATH: '/user/bin', CPATH: '/user/include' })
    expect(make({ layers, user })).toMatchObject({
      BP_X: 'user',
      PATH: '/user/bin:/layers/a/x/bin:/bin',
      CPATH: '/user/include',
    })
  })
  it('knows no suffixes in the user’s names', () => {
    expect(make({ user: files({ 'A.append': 'x' }) })['A.append']).toBe('x')
  })
  it('ignores an empty path of the user’s, which would mean the current directory', () => {
    expect(make({ user: files({ PATH: '' }) })['PATH']).toBe('/bin')
  })
  it('applies the operator’s after the user’s, as defaults unless they say otherwise', () => {
    const user = files({ A: 'user', B: 'user' })
    const operator = files({ A: 'operator', 'B.override': 'operator', C: 'operator', 'PATH.append': ':/op' })
    expect(make({ user, operator })).toMatchObject({ A: 'user', B: 'operator', C: 'operator', PATH: '/bin:/op' })
  })
  it('keeps the user’s from a buildpack that clears its environment, but not the operator’s', () => {
    const env = make({ user: files({ A: 'user' }), operator: files({ A: 'operator', B: 'b' }), clearEnv: true })
    expect(env).toMatchObject({ A: 'operator', B: 'b' })
  })
  it('E06 passes the user’s LD_PRELOAD, NODE_OPTIONS and BASH_ENV on: they are for the buildpack alone', () => {
    const user = files({ LD_PRELOAD: 'a', NODE_OPTIONS: 'b', BASH_ENV: 'c' })
    expect(make({ user })).toMatchObject({ LD_PRELOAD: 'a', NODE_OPTIONS: 'b', BASH_ENV: 'c' })
  })
  it.each([
    ['the user', { user: files({ CNB_TARGET_OS: 'x' }, '/platform/env') }, '/platform/env/CNB_TARGET_OS'],
    ['the operator', { operator: files({ CNB_X: 'x' }, '/cnb/build-config/env') }, '/cnb/build-config/env/CNB_X'],
    [
      'a layer',
      { layers: [layer('a/x', { env: files({ 'CNB_STACK_ID.default': 'x' }, '/l') })] },
      '/l/CNB_STACK_ID.default',
    ],
  ])('E07 refuses reserved names from %s', (_who, input, where) => {
    expect(failure(() => make({ provided: { CNB_TARGET_OS: 'linux' }, ...input }))).toMatch(
      new RegExp(`^${where}: the variable "CNB_\\w+" is reserved; `),
    )
  })
  it('E07 gives the inputs to the buildpack whatever else there is', () => {
    expect(make({ inherited: { CNB_STACK_ID: 'x' }, provided: { CNB_STACK_ID: 'y', CNB_EXEC_ENV: 'test' } })).toEqual({
      CNB_STACK_ID: 'y',
      CNB_EXEC_ENV: 'test',
    })
  })
  it('E04 refuses more than a process can have, naming the largest', () => {
    const big = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`BIG_${i}`, 'x'.repeat(100_000 + i)]))
    expect(failure(() => make({ user: files(big) }))).toBe(
      'the largest: "BIG_19", "BIG_18", "BIG_17": 21 environment variables take 2000518 bytes, more than a process can have; set fewer or shorter variables',
    )
  })
  it('E11 refuses 100,000 variables and takes 10,000', () => {
    const many = (n: number) => files(Object.fromEntries(Array.from({ length: n }, (_, i) => [`V${i}`, 'some value'])))
    expect(Object.keys(make({ user: many(10_000) }))).toHaveLength(10_001)
    expect(failure(() => make({ user: many(100_000) }))).toContain('100001 environment variables take ')
  })
})
