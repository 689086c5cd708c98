import { describe, expect, it } from 'vitest'
import {
  formatBuildpackPlan,
  formatResolvedPlan,
  parseBuildPlan,
  parseResolvedPlan,
  planFor,
  withoutMet,
} from '../../lifecycle/spec/plan.ts'
import type { ResolvedPlan } from '../../lifecycle/spec/types.ts'
import { failure } from './failure.ts'

describe('the build plan of a bin/detect', () => {
  it('is the top level and each or', () => {
    const text = `
[[provides]]
name = "a"
[[requires]]
name = "b"
[requires.metadata]
version = "1"
[[or]]
[[or.provides]]
name = "c"
[[or]]
[[or.requires]]
name = "d"`
    expect(parseBuildPlan(text, 'plan')).toEqual([
      { provides: ['a'], requires: [{ name: 'b', metadata: { version: '1' } }] },
      { provides: ['c'], requires: [] },
      { provides: [], requires: [{ name: 'd', metadata: {} }] },
    ])
  })
  it('wishes nothing when it is empty', () => {
    expect(parseBuildPlan('', 'plan')).toEqual([{ provides: [], requires: [] }])
  })
  it.each([
    [
      '[[requires]]\nname = "a"\nversion = "1"',
      'plan:3 requires[0].version: a requirement has no version; write it as',
    ],
    ['[[or]]\n[[or.requires]]\nname = "a"\nversion = "1"', 'plan:4 or[0].requires[0].version: a requirement has no'],
    ['[[provides]]', 'plan:1 provides[0].name: missing'],
    ['[[provides]]\nname = ""', 'plan:2 provides[0].name: empty'],
    ['provides = ["a"]', 'plan:1 provides: not a table but a string'],
    ['[[requires]]\nname = "a"\nmetadata = 1', 'plan:3 requires[0].metadata: not a table but a number'],
  ])('P03 refuses %j', (text, message) => expect(failure(() => parseBuildPlan(text, 'plan'))).toContain(message))
})

const a = { id: 'x/a', version: '1' }
const b = { id: 'x/b', version: '2' }
const c = { id: 'x/c', version: '3' }
const plan: ResolvedPlan = {
  entries: [
    {
      providers: [a, b],
      requires: [
        { name: 'node', metadata: { v: 1 } },
        { name: 'node', metadata: {} },
      ],
    },
    { providers: [a], requires: [{ name: 'npm', metadata: {} }] },
    { providers: [b, c], requires: [{ name: 'yarn', metadata: {} }] },
  ],
}

describe('plan.toml', () => {
  it('writes and reads', () => {
    expect(parseResolvedPlan(formatResolvedPlan(plan), 'plan.toml')).toEqual(plan)
    expect(parseResolvedPlan('', 'plan.toml')).toEqual({ entries: [] })
  })
  it('is an empty file without entries, as platforms know it', () => {
    expect(formatResolvedPlan({ entries: [] })).toBe('')
  })
  it('may have an entry that nobody requires', () => {
    const unasked = '[[entries]]\n[[entries.providers]]\nid = "a"\nversion = "1"'
    expect(parseResolvedPlan(unasked, 'plan.toml').entries).toEqual([
      { providers: [{ id: 'a', version: '1' }], requires: [] },
    ])
  })
  it.each([
    ['[[entries]]', 'plan.toml:1 entries[0].providers: missing'],
    [
      '[[entries]]\nproviders = [{ id = "a", version = "1" }]\nrequires = [{ name = "a" }, { name = "b" }]',
      'plan.toml:3 entries[0].requires: an entry has more than one dependency',
    ],
  ])('refuses %j', (text, message) => expect(failure(() => parseResolvedPlan(text, 'plan.toml'))).toContain(message))

  it('gives a buildpack what it is asked to provide', () => {
    expect(planFor(plan, a).map(r => r.name)).toEqual(['node', 'node', 'npm'])
    expect(planFor(plan, c).map(r => r.name)).toEqual(['yarn'])
    expect(planFor(plan, { id: 'x/a', version: '2' })).toEqual([])
  })
  it('is written for bin/build', () => {
    expect(formatBuildpackPlan(planFor(plan, a))).toBe(
      '[[entries]]\nname = "node"\n\n[entries.metadata]\nv = 1\n\n[[entries]]\nname = "node"\n\n[[entries]]\nname = "npm"\n',
    )
    expect(formatBuildpackPlan([])).toBe('entries = []\n')
  })
})

describe('unmet entries', () => {
  it('drops what was met, from every provider', () => {
    const after = withoutMet(plan, a, [])
    expect(after.entries.map(e => e.requires[0]?.name)).toEqual(['yarn'])
    expect(planFor(after, b).map(r => r.name)).toEqual(['yarn'])
  })
  it('leaves what was not met to the next provider', () => {
    const after = withoutMet(plan, a, ['node'])
    expect(planFor(after, b).map(r => r.name)).toEqual(['node', 'node', 'yarn'])
    expect(planFor(after, a)).toEqual([])
  })
  it('drops what nobody after it provides', () => {
    expect(withoutMet(plan, a, ['npm', 'node']).entries.map(e => e.requires[0]?.name)).toEqual(['node', 'yarn'])
  })
  it('refuses a name that it was not asked for', () => {
    expect(failure(() => withoutMet(plan, a, ['yarn']))).toBe(
      'build.toml of x/a@1: unmet names "yarn", which is not in the plan of the buildpack; name only entries of the plan',
    )
  })
})
