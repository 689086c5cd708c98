import { describe, expect, it } from 'vitest'
import { assignSlices, matchPath } from '../../lifecycle/spec/slices.ts'
import { failure, seeded } from './failure.ts'

describe('matchPath, as Go’s filepath.Match', () => {
  it.each<[string, string, boolean]>([
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['', '', true],
    ['', 'a', false],
    ['*', 'abc', true],
    ['*', '', true],
    ['*', 'a/b', false],
    ['**', 'a', true],
    ['**', 'a/b', false],
    ['a/**/b', 'a/x/b', true],
    ['a/**/b', 'a/x/y/b', false],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'abc', true],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['?', 'a', true],
    ['?', '/', false],
    ['?', '', false],
    ['a?b', 'aéb', true],
    ['a?b', 'a😀b', true],
    ['a??b', 'a😀b', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['[b-a]', 'a', false],
    ['[^b-a]', 'a', true],
    ['[a-c0-9]', '5', true],
    ['a[^a]b', 'a/b', true],
    ['[/]', '/', true],
    ['[*]', '*', true],
    ['[*]', 'a', false],
    ['[!a]', '!', true],
    ['[!a]', 'b', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['[x\\-]', 'x', true],
    ['[\\-x]', '-', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\*b', 'a*b', true],
    ['[\\\\]', '\\', true],
    ['*x', 'xxx', true],
    ['{a,b}', 'a', false],
    ['{a,b}', '{a,b}', true],
    ['a]', 'a]', true],
    ['.*', '.git', true],
    ['*', '.git', true],
    // The leftmost place for [^b] is final, as in Go.
    ['*[^b]*c', 'ab/c', false],
  ])('%j and %j: %j', (pattern, name, expected) => expect(matchPath(pattern, name)).toBe(expected))

  it.each([
    '[',
    '[]',
    '[]a]',
    '[^]',
    '[a',
    '[a-',
    '[a-]',
    '[-]',
    '[-x]',
    '[x-]',
    '[^bc',
    'a[',
    '[a-b-c]',
    '\\',
    'a\\',
    '[\\',
    '[a-\\',
  ])('D15 refuses the malformed %j, whatever the name', pattern => {
    for (const name of ['', 'a', 'x', '-', ']'])
      expect(failure(() => matchPath(pattern, name))).toBe(
        `${JSON.stringify(pattern)} is malformed; close each [ with a ], put characters between them, and do not end a pattern with a backslash`,
      )
  })

  it('agrees with a plain search through all possibilities', () => {
    const units = ['a', 'b', '/', '*', '*', '?', '[ab]', '[^a/]', '\\*']
    const letters = ['a', 'b', '/', '*']
    for (let seed = 0; seed < 20_000; seed++) {
      const random = seeded(seed)
      const pattern = Array.from({ length: random(7) }, () => units[random(units.length)] as string)
      const name = Array.from({ length: random(7) }, () => letters[random(4)] as string).join('')
      expect(matchPath(pattern.join(''), name), `${pattern.join('')} ${name}`).toBe(search(pattern, name))
    }
  })

  it('D15 takes no longer than the product of both lengths', () => {
    const name = 'a'.repeat(4096)
    const started = performance.now()
    expect(matchPath(`${'*a'.repeat(1000)}b`, name)).toBe(false)
    expect(matchPath(`${'a*'.repeat(1000)}b`, name)).toBe(false)
    expect(matchPath(`*${'[^b]'.repeat(1000)}b`, name)).toBe(false)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})

/** Tries everything: exponential, and right where no class matches `/`. */
function search(pattern: readonly string[], name: string): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return name === ''
  if (first === '*') return search(rest, name) || (name !== '' && name[0] !== '/' && search(pattern, name.slice(1)))
  const isMatch =
    { '?': /[^/]/, '[ab]': /[ab]/, '[^a/]': /[^a/]/, '\\*': /\*/ }[first]?.test(name[0] ?? '/') ?? first === name[0]
  return name !== '' && isMatch && search(rest, name.slice(1))
}

describe('assignSlices', () => {
  const paths = [
    'README.md',
    'dist',
    'dist/a.js',
    'dist/b.js',
    'dist/sub',
    'dist/sub/c.js',
    'dist-old',
    'lib',
    'lib/d.js',
  ]
  const assign = (...slices: string[][]) =>
    assignSlices(
      paths,
      slices.map(patterns => ({ paths: patterns })),
      '/workspace',
    )

  it('takes all below a directory that matches', () => {
    expect(assign(['dist'])).toEqual({
      slices: [['dist', 'dist/a.js', 'dist/b.js', 'dist/sub', 'dist/sub/c.js']],
      rest: ['README.md', 'dist-old', 'lib', 'lib/d.js'],
    })
    expect(assign(['*/sub']).slices).toEqual([['dist/sub', 'dist/sub/c.js']])
  })
  it('gives each slice what those before it left', () => {
    expect(assign(['dist/*.js'], ['dist*'], ['*'])).toEqual({
      slices: [
        ['dist/a.js', 'dist/b.js'],
        ['dist', 'dist/sub', 'dist/sub/c.js', 'dist-old'],
        ['README.md', 'lib', 'lib/d.js'],
      ],
      rest: [],
    })
  })
  it('accepts slices that match nothing, and no slices', () => {
    expect(assign(['none'], [])).toEqual({ slices: [[], []], rest: paths })
    expect(assign()).toEqual({ slices: [], rest: paths })
  })
  it.each(['lib', './lib', 'lib/', 'dist/../lib', '/workspace/lib', '/workspace//lib/', 'l[i]b', 'li\\b'])(
    'takes %s for lib',
    pattern => expect(assign([pattern]).slices[0]).toEqual(['lib', 'lib/d.js']),
  )
  it.each(['.', '', '/workspace', '/workspace/', '/workspace/.'])('takes %j for the whole app', pattern => {
    expect(assign([pattern])).toEqual({ slices: [paths], rest: [] })
  })
  it.each(['../x', '..', 'dist/../../x', '/etc', '/lib', '/workspace/../etc', '/workspace-evil/x', '/', '../**'])(
    'D15 refuses %s, naming the slice',
    pattern => {
      expect(failure(() => assign(['lib'], ['dist', pattern]))).toBe(
        `slices[1].paths[1]: ${JSON.stringify(pattern)} leaves the application directory; write a path relative to the application directory`,
      )
    },
  )
  it('D15 refuses a malformed pattern, naming the slice', () => {
    expect(failure(() => assign(['[']))).toContain('slices[0].paths[0]: "[" is malformed')
  })
  it('D15 refuses more patterns than can be tried on all files, and takes as many plain names as there are', () => {
    const files = Array.from({ length: 50_000 }, (_, i) => `f${i}`)
    const slice = (suffix: string) => [{ paths: Array.from({ length: 20_000 }, (_, i) => `f${i}${suffix}`) }]
    expect(failure(() => assignSlices(files, slice('*'), '/w'))).toBe(
      'slices[0].paths: too many slices and patterns for 50000 files; name directories instead of their files',
    )
    expect(assignSlices(files, slice(''), '/w').slices[0]).toHaveLength(20_000)
    const empty = Array.from({ length: 100_000 }, () => ({ paths: [] }))
    expect(assignSlices(files, empty, '/w').rest).toBe(files)
    const both = [...slice(''), { paths: ['*a', '*b'] }, ...slice('*').map(s => ({ paths: s.paths.slice(0, 1665) }))]
    expect(failure(() => assignSlices(files, both, '/w'))).toMatch(/^slices\[2\]\.paths: too many slices/)
  })
  it('keeps up with many files', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `d${i % 100}/f${i}`)
    const started = performance.now()
    const { slices, rest } = assignSlices(many, [{ paths: ['d1/*', 'd2', 'x*y*z'] }], '/workspace')
    expect(slices[0]).toHaveLength(1000)
    expect(rest).toHaveLength(99_000)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
