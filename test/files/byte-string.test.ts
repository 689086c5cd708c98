import { describe, expect, it } from 'vitest'
import { fromBuffer, printableName, toBuffer, toBytes } from '../../lifecycle/files/byte-string.ts'

describe('printable', () => {
  it.each([
    ['plain/name.txt', 'plain/name.txt'],
    [toBytes('ünï/日本/🚀'), 'ünï/日本/🚀'],
    ['a\nERROR: forged', 'a\\nERROR: forged'],
    ['\ttab', '\\ttab'],
    ['\x1b[2J\x07\x7f', '\\x1b[2J\\x07\\x7f'],
    [toBytes('\u009b31m'), '\\x9b31m'],
    [toBytes('left\u202etfel'), 'left\\u202etfel'],
    [toBytes('line\u2028'), 'line\\u2028'],
    ['\x80\x8f\xff', '\\x80\\x8f\\xff'],
    ['caf\xe9', 'caf\\xe9'],
  ])('%j is shown as %j', (name, shown) => {
    expect(printableName(name)).toBe(shown)
  })

  it('takes the middle out of a long name', () => {
    expect(printableName(`begin${'x'.repeat(5000)}end`)).toMatch(/^beginx{145}…x{147}end$/)
  })
})

describe('ByteString', () => {
  it('holds any bytes, and compares as they do', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    expect(toBuffer(fromBuffer(all)).equals(all)).toBe(true)
    // UTF-16 has these the other way round.
    expect(['\uffee', '🚀'].map(toBytes).sort()).toEqual(['\uffee', '🚀'].map(toBytes))
  })
})
