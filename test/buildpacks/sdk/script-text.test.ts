import { describe, expect, it } from 'vitest'
import { withoutComments, withoutCommentsAndTemplates } from '../../../buildpacks/sdk/index.ts'

describe('a script without its comments', () => {
  it.each([
    ['a // b\nc', 'a  \nc'],
    ['a /* b\n */ c // d', 'a   c  '],
    ['a("/* b */", \'// "\') // c', 'a("/* b */", \'// "\')  '],
    ['f(`//${a}`) /* "`" */', 'f(`//${a}`)  '],
    ['a = /[/*"]\\//; b / c // d', 'a = /[/*"]\\//; b / c  '],
    ["<p>don't</p>\n// a", "<p>don't</p>\n "],
    ['a /* without an end', 'a /* without an end'],
    ["a = 'it\\'s // b' // c", "a = 'it\\'s // b'  "],
  ])('%s', (script, expected) => {
    expect(withoutComments(script)).toBe(expected)
  })

  it('may be without its templates', () => {
    expect(withoutCommentsAndTemplates('a(`b \\` c`, "`") // d')).toBe('a( , "`")  ')
  })

  it('is read in one pass', { timeout: 5000 }, () => {
    expect(withoutComments('"/*" `\n'.repeat(100_000))).toHaveLength(700_000)
    expect(withoutComments('/* " */\n'.repeat(100_000))).toBe(' \n'.repeat(100_000))
  })
})
