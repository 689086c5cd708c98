import type { TomlCursor } from './toml-cursor.ts'

const plainText = {
  '"': /[^"\\\x00-\x08\x0a-\x1f\x7f]+/y,
  "'": /[^'\x00-\x08\x0a-\x1f\x7f]+/y,
}
const continuation = /[ \t]*(?:\r?\n[ \t]*)+/y
const escapes: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  e: '\x1b',
  '"': '"',
  '\\': '\\',
}
const codePoint: Readonly<Record<string, RegExp>> = {
  x: /[0-9a-fA-F]{2}/y,
  u: /[0-9a-fA-F]{4}/y,
  U: /[0-9a-fA-F]{8}/y,
}
const anyCharacter = /[^]/y

/** The string that begins with this quote, here; with three of them it may have many lines, but a key may not. */
export function readTomlString(cursor: TomlCursor, quote: '"' | "'", multiLineAllowed: boolean): string {
  const isMultiLine = multiLineAllowed && cursor.take(quote.repeat(3))
  const end = isMultiLine ? quote.repeat(3) : quote
  if (isMultiLine)
    cursor.takeNewline() // right after the opening quotes, not part of the string
  else cursor.take(quote)
  const parts: string[] = []
  for (;;) {
    const text = cursor.match(plainText[quote])
    if (text !== undefined) parts.push(text)
    else if (cursor.take(end)) {
      // `""""a"""""`: up to two quotes may stand before the closing three.
      for (let extra = 0; extra < 2 && isMultiLine && cursor.take(quote); extra++) parts.push(quote)
      return parts.join('')
    } else if (isMultiLine && cursor.take(quote)) parts.push(quote)
    else if (quote === '"' && cursor.take('\\')) parts.push(readEscape(cursor, isMultiLine))
    else if (isMultiLine && cursor.takeNewline()) parts.push('\n')
    else cursor.fail(/^[\r\n]?$/.test(cursor.peek()) ? 'a string does not end' : 'a control character in a string')
  }
}

function readEscape(cursor: TomlCursor, isMultiLine: boolean): string {
  const skipped = isMultiLine ? cursor.match(continuation) : undefined
  if (skipped !== undefined) {
    cursor.line += skipped.split('\n').length - 1
    return ''
  }
  const letter = cursor.match(anyCharacter) ?? ''
  if (Object.hasOwn(escapes, letter)) return escapes[letter] as string
  const digits = Object.hasOwn(codePoint, letter) ? cursor.match(codePoint[letter] as RegExp) : undefined
  if (digits === undefined) cursor.fail('a bad escape in a string')
  const code = parseInt(digits, 16)
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) cursor.fail('an escape that is no Unicode character')
  return String.fromCodePoint(code)
}
