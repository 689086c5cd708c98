import { type Lines, TomlError, TomlParser, expectedValue, fromAlias, maxDepth, tooDeep, twice } from './toml-parser.ts'
import { TomlDate, TomlFloat } from './toml-values.ts'

/** A table, with no prototype: `__proto__` and `constructor` are keys like any other. */
export type TomlTable = Record<string, unknown>

/** @throws TomlError */
export function parseTomlText(source: string): { root: TomlTable; lines: Lines } {
  // TOML lets a parser choose the form of newlines, and the library refuses CR at the end of a comment.
  const text = source.replaceAll('\r\n', '\n')
  const bare = text.indexOf('\r')
  if (bare >= 0) throw new TomlError('a carriage return without a newline', lineAt(text, bare))
  const parser = new TomlParser()
  try {
    parser.parse(text)
    const raw = parser.finish()
    const lines: Lines = new Map()
    return { root: toTable(raw, { depth: 1, line: 1, from: parser.lines, to: lines }), lines }
  } catch (error) {
    const { fromTOML, name } = error as { fromTOML?: boolean; name?: string }
    if (fromTOML !== true && name !== 'ParserError') throw error
    const message = reword(error as Error)
    throw new TomlError(message, message === twice ? parser.keyLine : parser.line + 1)
  }
}

/** Maps the library's messages to Bale's. Some of its messages contain a character of the document. */
const messages: readonly (readonly [RegExp, string])[] = [
  [/redefine|extend/, twice],
  [/^Unterminated (?:multi-line )?string/, 'a string does not end'],
  [/^Control characters.*strings/, 'a control character in a string'],
  [/^Control characters.*comments/, 'a control character in a comment'],
  [/escape|unicode|code point/, 'a bad escape in a string'],
  [/expected "="/, 'expected = after the key'],
  [/Empty bare keys|Key ended/, 'expected a key'],
  [/till end of line/, 'expected the end of the line'],
  [/whitespace, \. or \]/, 'expected ] after the table name'],
  [/inline tables/, 'an extra comma in an inline table'],
  [/inline array|comma/, 'expected a comma or the closing bracket; an inline table must be on one line'],
  [/expect|number|value|boolean/, expectedValue],
]

function reword({ message }: Error): string {
  return messages.find(([pattern]) => pattern.test(message))?.[1] ?? 'an unexpected character'
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

interface Conversion {
  readonly depth: number
  readonly line: number
  readonly from: Lines
  readonly to: Lines
}

function toTable(raw: object, conversion: Conversion): TomlTable {
  const table = Object.create(null) as TomlTable
  const known = conversion.from.get(raw)
  if (known) conversion.to.set(table, new Map(Array.from(known, ([key, line]) => [fromAlias(key), line])))
  for (const [key, value] of Object.entries(raw)) {
    const line = known?.get(key) ?? conversion.line
    table[fromAlias(key)] = toValue(value, { ...conversion, depth: conversion.depth + 1, line })
  }
  return table
}

function toValue(raw: unknown, conversion: Conversion): unknown {
  if (typeof raw === 'number') return Number.isFinite(raw) ? raw : new TomlFloat(raw)
  if (typeof raw !== 'object' || raw === null || raw instanceof TomlDate || raw instanceof TomlFloat) return raw
  if (conversion.depth > maxDepth) throw new TomlError(tooDeep, conversion.line)
  if (!Array.isArray(raw)) return toTable(raw, conversion)
  return raw.map(element => toValue(element, { ...conversion, depth: conversion.depth + 1 }))
}
