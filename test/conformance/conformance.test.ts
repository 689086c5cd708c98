import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requirementsIn } from './requirements.ts'
import { decisions } from './decisions.ts'
import { documents } from './rows.ts'
import { render, requirements, stateOf, testProblem } from './table.ts'

const root = resolve(import.meta.dirname, '../..')

describe('the conformance table', () => {
  it.each(documents)('has a row for each requirement of $file, in its order', ({ file, sections }) => {
    const rows = sections.map(({ section, rows }) => ({ section, lines: rows.map(row => row.line) }))
    expect(rows).toEqual(requirements.documents[file])
  })

  it('names tests that exist', () => {
    const rows = documents.flatMap(d => d.sections).flatMap(s => s.rows)
    const decided = decisions.flatMap(({ tests }) => tests)
    const named = new Set([...rows.flatMap(row => ('tests' in row ? row.tests : [])), ...decided])
    expect([...named].flatMap(name => testProblem(name) ?? [])).toEqual([])
  })

  it('says why where a requirement does not hold, and for which versions where it does', () => {
    for (const { oldest, newest, sections } of documents) {
      const minor = (api: string): number => Number(/^0\.(\d+)$/.exec(api)?.[1])
      for (const row of sections.flatMap(s => s.rows)) {
        const why = 'notApplicable' in row ? row.notApplicable : row.deviates
        expect(why === undefined, `${row.line} ${row.what}`).toBe(stateOf(row) === 'holds')
        expect(why ?? 'a reason').not.toBe('')
        const [since, until] = [minor(row.since ?? oldest), minor(row.until ?? newest)]
        expect(minor(oldest) <= since && since <= until && until <= minor(newest), row.what).toBe(true)
      }
    }
  })

  it('is written: npm run conformance', () => {
    expect(readFileSync(join(root, 'docs/conformance.md'), 'utf8')).toBe(render(documents, decisions))
  })
})

describe('requirementsIn', () => {
  it('finds each requirement with its section', () => {
    const text = '# Doc\n## A\nit MUST x and SHOULD NOT y\n### `B`\n```\n# no heading MUST\n```\n- SHALL\nmust\n## C\n'
    expect(requirementsIn(text)).toEqual([
      { section: 'A', lines: [3, 3] },
      { section: 'A › B', lines: [6, 8] },
    ])
  })
})

describe('testProblem', () => {
  it('finds a title as it stands in the file', () => {
    expect(testProblem('spec/env: no shell')).toBeUndefined()
    expect(
      testProblem("launcher/env: keeps the user's and the image's variables, and drops the launcher's own"),
    ).toBeUndefined()
    expect(testProblem('spec/env: no such test')).toBe('test/spec/env.test.ts has no no such test')
    expect(testProblem('spec/none: x')).toBe('there is no test/spec/none.test.ts')
  })
})
