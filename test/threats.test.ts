import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { namedCases, register, rows } from '../scripts/threats.mjs'

const known = rows(readFileSync(register, 'utf8'))

describe('docs/threats.md', () => {
  it('has each case once, numbered without gaps', () => {
    const last = new Map<string, number>()
    for (const { code } of known) {
      const number = Number(code.slice(1))
      expect(number, code).toBe((last.get(code.charAt(0)) ?? 0) + 1)
      last.set(code.charAt(0), number)
    }
    expect([...last.keys()].join('')).toBe('TRPDESCKXLO')
  })

  it('has every case that a test names', () => {
    const codes = new Set(known.map(row => row.code))
    expect([...namedCases().keys()].filter(code => !codes.has(code))).toEqual([])
  })

  it('says of a case without a test that it is open', () => {
    const named = namedCases()
    const untested = known.filter(row => !named.has(row.code) && row.tests !== '**open**').map(row => row.code)
    expect(untested, 'run npm run threats').toEqual([])
  })

  it('says for each case of the sandbox which engines hold it', () => {
    const values = new Set(['yes', 'partly', 'around', 'no', 'open', '–'])
    for (const { code, cells } of known.filter(row => row.code.startsWith('X'))) {
      expect(cells, code).toHaveLength(9)
      expect(
        cells.slice(3, 8).filter(cell => !values.has(cell)),
        code,
      ).toEqual([])
    }
  })
})
