import { expect, it } from 'vitest'
import { claimsOf, type Report, titlePattern, unproven } from './results.ts'
import type { Row } from './table.ts'

const rows: readonly Row[] = [
  { line: 1, what: 'one', tests: ['spec/api: knows %s'] },
  { line: 2, what: 'two', notApplicable: 'the platform keeps it' },
  { line: 3, what: 'three', deviates: 'in part', tests: ['contracts/stores: keeps it', 'spec/api: knows %s'] },
]
const report = (...tests: [file: string, title: string, status: string][]): Report => ({
  testResults: tests.map(([file, title, status]) => ({
    name: `/checkout/test/${file}.test.ts`,
    assertionResults: [{ ancestorTitles: ['a store'], title, status }],
  })),
})
const check = (...reports: Report[]) => unproven(claimsOf(rows), reports, '/checkout/test')

it('takes a requirement to hold when each test that claims it ran and passed, in whichever report', () => {
  expect(check(report(['spec/api', 'knows 0.7', 'passed']), report(['stores/memory', 'keeps it', 'passed']))).toEqual(
    [],
  )
})

it('names each requirement whose test did not run, was skipped or failed', () => {
  const kept = report(['stores/memory', 'keeps it', 'passed'])
  const missing = ['1 one: "spec/api: knows %s" did not run', '3 three: "spec/api: knows %s" did not run']
  expect(check(kept)).toEqual(missing)
  expect(check(kept, report(['spec/api', 'knows 0.7', 'skipped']))).toEqual(missing)
  // The same title in another file is another test.
  expect(check(kept, report(['spec/api', 'is', 'passed'], ['spec/env', 'knows 0.7', 'passed']))).toEqual(missing)
  const cases = report(['spec/api', 'knows 0.7', 'passed'], ['spec/api', 'knows 0.8', 'failed'])
  expect(check(kept, cases)[0]).toBe('1 one: "spec/api: knows %s" failed: knows 0.8')
})

it('finds the case of a table whose title has the name in it', () => {
  const own: readonly Row[] = [{ line: 4, what: 'four', tests: ['spec/ids: a layer named store'] }]
  const of = (title: string): string[] =>
    unproven(claimsOf(own), [report(['spec/ids', title, 'passed'])], '/checkout/test')
  expect(of('D09 a layer named store is refused')).toEqual([])
  expect(of('D09 a layer named build is refused')).toHaveLength(1)
})

it('fails a requirement whose shared suite fails in one of the files that run it', () => {
  const stores = report(['stores/memory', 'keeps it', 'passed'], ['stores/daemon', 'keeps it', 'failed'])
  expect(check(report(['spec/api', 'knows 0.7', 'passed']), stores)).toEqual([
    '3 three: "contracts/stores: keeps it" failed: keeps it',
  ])
})

it.each([
  ['refuses %j: %s', 'refuses "a.b": no', 'accepts "a.b": no'],
  ['${as} ${JSON.stringify(args)} runs $x.y', 'web ["a"] runs it', 'web ["a"] walks'],
  ['is (a.b)*', 'is (a.b)*', 'is (aXb)'],
])('matches the titles that %s stands for', (title, yes, no) => {
  expect([yes, no].map(text => titlePattern(title).test(text))).toEqual([true, false])
})
