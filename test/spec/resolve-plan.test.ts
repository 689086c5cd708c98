import { describe, expect, it } from 'vitest'
import { resolvePlan } from '../../lifecycle/spec/resolve-plan.ts'
import type { BuildPlan, GroupElement, PlanRequire, PlanSections } from '../../lifecycle/spec/types.ts'
import { failure, seeded } from './failure.ts'

interface Member {
  readonly element: GroupElement
  readonly plan: BuildPlan
}

/** `+name` is provided, `-name` required; `|` parts alternatives. An id that ends in `?` is optional. */
function member(text: string): Member {
  const [name = '', plan = ''] = text.split(':')
  const optional = name.endsWith('?')
  const id = name.replace('?', '')
  const sections = plan.split('|').map((part): PlanSections => {
    const words = part.trim().split(' ').filter(Boolean)
    return {
      provides: words.filter(w => w.startsWith('+')).map(w => w.slice(1)),
      requires: words
        .filter(w => w.startsWith('-'))
        .map((w): PlanRequire => ({ name: w.slice(1), metadata: { by: id } })),
    }
  })
  return { element: { id, version: '1', api: '0.12', ...(optional && { optional }) }, plan: sections }
}

/** `a b; dep: a, b ← b, c` : the group, then each entry's providers and who requires it. */
function resolve(...members: string[]): string[] {
  const result = resolvePlan(members.map(member))
  if (!result.ok) return ['failed', ...result.reasons]
  const entries = result.plan.entries.map(e => {
    const by = e.requires.map(r => r.metadata['by']).join(', ')
    return `${e.requires[0]?.name}: ${e.providers.map(p => p.id).join(', ')} ← ${by}`
  })
  return [result.group.buildpacks.map(e => e.id).join(' '), ...entries]
}

describe('resolvePlan (buildpack.md, "Phase #1: Detection")', () => {
  it('an extension provides for a later buildpack, and is left out where nothing requires what it provides', () => {
    const members = [
      { ...member('x: +a'), isExtension: true },
      { ...member('y: +b'), isExtension: true },
      { ...member('z: +a'), isExtension: true },
      member('p: -a'),
    ]
    const result = resolvePlan(members)
    if (!result.ok) throw new Error(result.reasons.join())
    expect(result.group.extensions.map(({ id }) => id)).toEqual(['x', 'z'])
    expect(result.group.buildpacks.map(({ id }) => id)).toEqual(['p'])
    expect(result.plan.entries).toEqual([
      {
        providers: ['x', 'z'].map(id => ({ id, version: '1', extension: true })),
        requires: [{ name: 'a', metadata: { by: 'p' } }],
      },
    ])
    const alone = resolvePlan([{ ...member('x: +a'), isExtension: true }, member('p?: -a -b')])
    expect(alone).toMatchObject({ ok: false })
  })

  it('pairs what is provided with what is required by the same or a later buildpack', () => {
    expect(resolve('a: +x', 'b: -x')).toEqual(['a b', 'x: a ← b'])
    expect(resolve('a: +x -x')).toEqual(['a', 'x: a ← a'])
    expect(resolve('a:', 'b:')).toEqual(['a b'])
  })
  it('lets several provide and several require', () => {
    expect(resolve('a: +x', 'b: +x -x', 'c: -x')).toEqual(['a b c', 'x: a, b ← b, c'])
    expect(resolve('a: +x +x', 'b: -x -x')).toEqual(['a b', 'x: a ← b, b'])
  })
  it('keeps the metadata of each requirement', () => {
    const result = resolvePlan(['a: +x', 'b: -x'].map(member))
    expect(result.ok && result.plan.entries[0]?.requires).toEqual([{ name: 'x', metadata: { by: 'b' } }])
  })
  it('gives a group that no longer says optional', () => {
    const result = resolvePlan([member('a?:')])
    expect(result).toEqual({
      ok: true,
      group: { buildpacks: [{ id: 'a', version: '1', api: '0.12' }], extensions: [] },
      plan: { entries: [] },
    })
  })

  it('fails when a required buildpack requires what nothing before it provides', () => {
    expect(resolve('bale/python: -pip')).toEqual([
      'failed',
      'bale/python requires pip, which nothing before it provides',
    ])
    expect(resolve('a: -x', 'b: +x -x')).toEqual(['failed', 'a requires x, which nothing before it provides'])
  })
  it('X31 lets no name forge a line of the log', () => {
    const plan: BuildPlan = [{ provides: ['x\nERROR: \x1b[2Jfine'], requires: [] }]
    const result = resolvePlan([{ ...member('a:'), plan }])
    expect(result.ok || result.reasons).toEqual([
      'a provides "x\\nERROR: \\u001b[2Jfine", which nothing after it requires',
    ])
  })
  it('fails when a required buildpack provides what nothing after it requires', () => {
    expect(resolve('a: +x')).toEqual(['failed', 'a provides x, which nothing after it requires'])
    expect(resolve('a: +x', 'b: -x', 'c: +x')).toEqual(['failed', 'c provides x, which nothing after it requires'])
  })
  it('leaves out optional buildpacks instead', () => {
    expect(resolve('a?: -x', 'b:')).toEqual(['b'])
    expect(resolve('a?: +x', 'b:')).toEqual(['b'])
    expect(resolve('a: +x', 'b: -x', 'c?: +x')).toEqual(['a b', 'x: a ← b'])
  })
  it('and what they alone made possible, until nothing changes', () => {
    expect(resolve('a?: +x', 'b?: -x -y', 'c:')).toEqual(['c'])
    expect(resolve('a?: +p -q', 'b?: -p +r', 'c?: -r', 'd:')).toEqual(['d'])
    expect(resolve('a?: +x -y', 'b: -x')).toEqual([
      'failed',
      'a requires y, which nothing before it provides, so it is not used',
      'b requires x, which nothing before it provides',
    ])
  })
  it('fails when nothing is left', () => {
    expect(resolve('a?: -x')).toEqual([
      'failed',
      'a requires x, which nothing before it provides, so it is not used',
      'no buildpack is left in the group',
    ])
    expect(resolvePlan([])).toEqual({ ok: false, reasons: ['no buildpack is left in the group'] })
  })

  it('tries alternatives, the last buildpack’s first', () => {
    expect(resolve('a: +x | +y', 'b: -y | -x')).toEqual(['a b', 'x: a ← b'])
    expect(resolve('a: +x | ', 'b: -z | -q')).toEqual([
      'failed',
      'b requires z, which nothing before it provides',
      'a provides x, which nothing after it requires',
      'b requires q, which nothing before it provides',
    ])
    expect(resolve('a: +x | +y |', 'b: -y')).toEqual(['a b', 'y: a ← b'])
  })
  it('takes an alternative that costs an optional buildpack before the next alternative', () => {
    expect(resolve('a: +x', 'b?: +y | -x', 'c: -x')).toEqual(['a c', 'x: a ← c'])
  })

  it('stops when alternatives multiply beyond reason', () => {
    const members = Array.from({ length: 40 }, (_, i) => `b${i}: -none | -nil`)
    expect(failure(() => resolve(...members))).toBe(
      'the build plan of b0, with 2 alternatives: the alternatives in the build plans have too many combinations; write fewer [[or]] tables',
    )
  }, 30_000)
  it('takes many alternatives in their stride when one works', () => {
    expect(resolve('a: +x', ...Array.from({ length: 200 }, (_, i) => `b${i}: -x | -no`))).toHaveLength(2)
  })

  it('holds what the spec says of any group', () => {
    const names = ['p', 'q', 'r']
    for (let seed = 0; seed < 3000; seed++) {
      const random = seeded(seed)
      const words = () => Array.from({ length: random(4) }, () => (random(2) ? '+' : '-') + names[random(3)]).join(' ')
      const members = Array.from({ length: 1 + random(4) }, (_, i) => {
        const alternatives = Array.from({ length: 1 + random(2) }, words).join('|')
        return member(`b${i}${random(2) ? '?' : ''}: ${alternatives}`)
      })
      const result = resolvePlan(members)
      expect(resolvePlan(members)).toEqual(result)
      const expected = naive(members)
      expect(result.ok ? result.group.buildpacks.map(e => e.id).join(' ') : undefined, JSON.stringify(members)).toBe(
        expected,
      )
      if (!result.ok) continue
      for (const entry of result.plan.entries) {
        expect(new Set(entry.requires.map(r => r.name)).size).toBe(1)
        expect(entry.providers.length).toBeGreaterThan(0)
      }
    }
  })
})

/** The rules read literally: the first trial whose largest closed subset has all required buildpacks. */
function naive(members: readonly Member[], chosen: PlanSections[] = []): string | undefined {
  const next = members[chosen.length]
  if (next) {
    for (const sections of next.plan) {
      const found = naive(members, [...chosen, sections])
      if (found !== undefined) return found
    }
    return undefined
  }
  let kept = members.map((_, i) => i)
  const provides = (i: number, name: string) => kept.includes(i) && chosen[i]?.provides.includes(name)
  const requires = (i: number, name: string) => kept.includes(i) && chosen[i]?.requires.some(r => r.name === name)
  for (;;) {
    const bad = kept.filter(
      i =>
        chosen[i]?.provides.some(name => !kept.some(j => j >= i && requires(j, name))) ||
        chosen[i]?.requires.some(r => !kept.some(j => j <= i && provides(j, r.name))),
    )
    if (bad.some(i => !members[i]?.element.optional)) return undefined
    if (bad.length === 0) return kept.length === 0 ? undefined : kept.map(i => members[i]?.element.id).join(' ')
    kept = kept.filter(i => !bad.includes(i))
  }
}
