import { describe, expect, it } from 'vitest'
import { parseBuildpack } from '../../lifecycle/spec/buildpack.ts'
import { resolveOrder } from '../../lifecycle/spec/resolve-order.ts'
import type { BuildpackDescriptor, Order, OrderElement } from '../../lifecycle/spec/types.ts'
import { errorOf, failure } from './failure.ts'

/** `A? B` is a group of two, the first optional; `A!test` is for the test environment only. */
const group = (text: string): OrderElement[] =>
  text.split(' ').map(word => {
    const [, id, optional, execEnv] = /^(\w+)(\??)(?:!(\w+))?$/.exec(word) as unknown as [
      string,
      string,
      string,
      string?,
    ]
    return { id, version: '1', optional: optional === '?', ...(execEnv !== undefined && { execEnv: [execEnv] }) }
  })
const order = (...groups: string[]): Order => ({ groups: groups.map(group), extensions: [] })

/** Composites by id; every other buildpack is a component. */
function resolve(input: Order, composites: Record<string, string[]> = {}, execEnv = 'production', limits = {}) {
  const find = (id: string, version: string): BuildpackDescriptor => {
    const groups = Object.hasOwn(composites, id) ? (composites[id] as string[]).map(group) : undefined
    const limit = (limits as Record<string, string[]>)[id] ?? []
    const descriptor = parseBuildpack(`api = "0.12"\n[buildpack]\nid = "${id}"\nversion = "${version}"`, 'x')
    return { ...descriptor, execEnv: limit, ...(groups && { order: groups }) }
  }
  const names = (elements: readonly OrderElement[]) => elements.map(e => e.id + (e.optional ? '?' : '')).join(' ')
  return resolveOrder(input, find, execEnv).map(({ extensions, buildpacks }) =>
    [...(extensions.length > 0 ? [`(${names(extensions)})`] : []), names(buildpacks)].join(' '),
  )
}

describe('resolveOrder (buildpack.md, "Order Resolution")', () => {
  const composites = { O: ['A B', 'C D'], P: ['E F', 'G H'] }
  it('leaves an order of components as it is', () => {
    expect(resolve(order('A B?', 'C'))).toEqual(['A B?', 'C'])
  })
  it('expands [E, O, F]', () => {
    expect(resolve(order('E O F'), composites)).toEqual(['E A B F', 'E C D F'])
  })
  it('expands [O, P]', () => {
    expect(resolve(order('O P'), composites)).toEqual(['A B E F', 'A B G H', 'C D E F', 'C D G H'])
  })
  it('expands composites within composites, depth first', () => {
    expect(resolve(order('X', 'Z'), { ...composites, X: ['O Y', 'Q'], Y: ['P', 'R'] })).toEqual([
      'A B E F',
      'A B G H',
      'A B R',
      'C D E F',
      'C D G H',
      'C D R',
      'Q',
      'Z',
    ])
  })
  it('repeats the group without an optional composite', () => {
    expect(resolve(order('E O? F'), composites)).toEqual(['E A B F', 'E C D F', 'E F'])
    expect(resolve(order('O?'), composites)).toEqual(['A B', 'C D'])
  })
  it('keeps what is optional within a composite', () => {
    expect(resolve(order('O E?'), { O: ['A? B'] })).toEqual(['A? B E?'])
  })

  it('leaves out what is for other execution environments', () => {
    const mixed = order('A!test B', 'C!test', 'D!production')
    expect(resolve(mixed)).toEqual(['B', 'D'])
    expect(resolve(mixed, {}, 'test')).toEqual(['A B', 'C'])
    expect(resolve(order('A B O'), composites, 'production', { A: ['test'], O: ['test'], B: ['*'] })).toEqual(['B'])
    expect(resolve(order('X O'), { O: ['A!test', 'B!test'] })).toEqual(['X'])
  })

  it('D07 names the path of a cycle', () => {
    expect(failure(() => resolve(order('A'), { A: ['x B'], B: ['C'], C: ['y', 'B'] }))).toBe(
      'B@1: the order contains a cycle: B@1 → C@1 → B@1; remove one of these buildpacks from the order of the buildpack before it',
    )
    expect(failure(() => resolve(order('A'), { A: ['A'] }))).toContain('A@1 → A@1')
  })
  it('takes a composite in two places for no cycle', () => {
    expect(resolve(order('O O'), { O: ['A'] })).toEqual(['A A'])
  })
  it('D07 stops at 10,000 groups', () => {
    const wide = Object.fromEntries('ABCDE'.split('').map(id => [id, Array.from({ length: 10 }, (_, i) => `x${i}`)]))
    expect(resolve(order('A B C D'), wide)).toHaveLength(10_000)
    expect(failure(() => resolve(order('A B C D E'), wide))).toMatch(
      /^the group A@1, B@1, C@1, D@1, E@1: the order expands to more than 10000 groups; /,
    )
  })
  it('D07 stops when groups grow without end', () => {
    const levels = Array.from({ length: 100 }, (_, i) => i)
    const long = Object.fromEntries(levels.map(i => [`n${i}`, [`n${i + 1} n${i + 1}`]]))
    expect(errorOf(() => resolve(order('n0'), long)).message).toBe('the order expands to more than 1000000 buildpacks')
    const wide = Object.fromEntries(levels.map(i => [`n${i}`, [`n${i + 1}`, `n${i + 1}`]]))
    expect(errorOf(() => resolve(order('n0'), wide)).message).toBe('the order expands to more than 10000 groups')
    expect(resolve(order('n0'), wide, 'production', { n100: ['test'] })).toEqual([])
  })
  it('puts each group of image extensions in front of each group of buildpacks', () => {
    const groups = resolve({ ...order('E F', 'G'), extensions: [group('A B'), group('C!test D')] })
    expect(groups).toEqual(['(A B) E F', '(A B) G', '(D) E F', '(D) G'])
  })
  it('passes on what find says', () => {
    expect(() =>
      resolveOrder(
        order('A'),
        () => {
          throw new Error('no such buildpack')
        },
        'production',
      ),
    ).toThrow('no such buildpack')
  })
})
