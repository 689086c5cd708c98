import { parseScalar } from './toml-scalar.ts'
import type { TomlDate, TomlFloat } from './toml-values.ts'

/**
 * TOML 1.0, and what 1.1 adds and costs nothing: newlines and a last comma in inline tables, `\e` and `\x`. The launcher
 * reads the same language.
 *
 * Our own, because documents come from buildpacks and images: @iarna/toml 3.0.0 lets `[hasOwnProperty]` write to the
 * built-in function of that name, quotes the source in its errors, knows no limits, and rejects comments that end in
 * CR LF. Here tables have no prototype, errors never quote the source, which may be a secret that a link led to, and depth
 * and number of values are capped.
 */

/** A table, with no prototype: `__proto__` and `constructor` are keys like any other. */
export type TomlTable = Record<string, unknown>
type Value = string | boolean | number | TomlFloat | TomlDate | TomlTable | Value[]

/** Where keys stand: a table's keys to lines, counted from 1. */
export type Lines = Map<object, Map<string, number>>

/** Something is wrong at `line`; the message quotes nothing. */
export class TomlError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

export const maxDepth = 64
export const maxValues = 1 << 20

// How a table or array came to be decides what may add to it later.
type Origin =
  | 'value' // `[1, 2]` or `{ a = 1 }`: closed
  | 'header' // `[a]`, `[[a]]`
  | 'path' // the `a` of `[a.b]`: a later `[a]` may still define it
  | 'key' // the `a` of `a.b = 1`: more such keys may add to it

const bareKey = /[A-Za-z0-9_-]+/y
const bareWord = /[A-Za-z0-9_+.:-]+/y
const dayAndSpace = /\d{4}-\d\d-\d\d (?=\d)/y
const spaces = /[ \t]*/y
const comment = /#[^\x00-\x08\x0a-\x1f\x7f]*/y
const newline = /\r?\n/y
const plainText: Record<string, RegExp> = {
  '"': /[^"\\\x00-\x08\x0a-\x1f\x7f]+/y,
  "'": /[^'\x00-\x08\x0a-\x1f\x7f]+/y,
}
const continuation = /[ \t]*(?:\r?\n[ \t]*)+/y
const escapes: Record<string, string> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  e: '\x1b',
  '"': '"',
  '\\': '\\',
}
const codePoint: Record<string, RegExp> = {
  x: /[0-9a-fA-F]{2}/y,
  u: /[0-9a-fA-F]{4}/y,
  U: /[0-9a-fA-F]{8}/y,
}

/** @throws TomlError */
export function parseTomlText(text: string): { root: TomlTable; lines: Lines } {
  const parser = new Parser(text)
  return { root: parser.document(), lines: parser.lines }
}

class Parser {
  readonly lines: Lines = new Map()
  private readonly text: string
  private at = 0
  private line = 1
  private values = 0
  private readonly origins = new Map<object, Origin>()

  constructor(text: string) {
    this.text = text
  }

  document(): TomlTable {
    const root = this.newTable('header')
    let table = root
    for (;;) {
      this.skipBlank()
      if (this.at === this.text.length) return root
      if (this.take('[')) table = this.header(root)
      else this.member(table, 1)
      this.endOfLine()
    }
  }

  // ---- words ----

  private fail(message: string): never {
    throw new TomlError(message, this.line)
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  private take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false
    this.at += token.length
    return true
  }

  private skipSpaces(): void {
    this.match(spaces)
  }

  private takeNewline(): boolean {
    if (this.match(newline) === undefined) return false
    this.line++
    return true
  }

  private skipBlank(): void {
    do {
      this.skipSpaces()
      this.match(comment)
    } while (this.takeNewline())
  }

  private endOfLine(): void {
    this.skipSpaces()
    this.match(comment)
    if (this.at < this.text.length && !this.takeNewline()) this.fail('expected the end of the line')
  }

  // ---- tables ----

  private newTable(origin: Origin): TomlTable {
    const table = Object.create(null) as TomlTable
    this.origins.set(table, origin)
    return table
  }

  private put(table: TomlTable, key: string, value: Value, line: number): void {
    if (++this.values > maxValues) this.fail(`more than ${maxValues} values`)
    table[key] = value
    let lines = this.lines.get(table)
    if (!lines) this.lines.set(table, (lines = new Map<string, number>()))
    lines.set(key, line)
  }

  /**
   * Reads `a.b.c` and walks from `table` to the table that holds the last part, making tables on the way. A header may
   * walk through any table that is not closed and into the last element of an array of tables; a dotted key only through
   * tables that dotted keys made.
   */
  private path(table: TomlTable, origin: 'path' | 'key'): [TomlTable, string] {
    for (let depth = 1; ; depth++) {
      if (depth > maxDepth) this.fail(`nested deeper than ${maxDepth}`)
      const key = this.keyPart()
      this.skipSpaces()
      if (!this.take('.')) return [table, key]
      this.skipSpaces()
      table = this.step(table, key, origin)
    }
  }

  private step(table: TomlTable, key: string, origin: 'path' | 'key'): TomlTable {
    const next = table[key]
    if (next === undefined) {
      const made = this.newTable(origin)
      this.put(table, key, made, this.line)
      return made
    }
    const known = typeof next === 'object' && next !== null ? this.origins.get(next) : undefined
    if (origin === 'path' && Array.isArray(next) && known === 'header') return next.at(-1) as TomlTable
    const isOpen = origin === 'key' ? known === 'key' : known !== undefined && known !== 'value'
    if (!isOpen || Array.isArray(next)) this.fail('a key is defined twice')
    return next as TomlTable
  }

  private keyPart(): string {
    const quote = this.text.charAt(this.at)
    if (quote === '"' || quote === "'") return this.string(quote, false)
    return this.match(bareKey) ?? this.fail('expected a key')
  }

  private member(table: TomlTable, depth: number): void {
    const line = this.line
    const [parent, key] = this.path(table, 'key')
    if (!this.take('=')) this.fail('expected = after the key')
    if (key in parent) this.fail('a key is defined twice')
    this.put(parent, key, this.value(depth), line)
  }

  /** After `[` or `[[`: the table that the following lines fill. */
  private header(root: TomlTable): TomlTable {
    const line = this.line
    const isArray = this.take('[')
    this.skipSpaces()
    const [parent, key] = this.path(root, 'path')
    if (!this.take(isArray ? ']]' : ']')) this.fail('expected ] after the table name')
    return isArray ? this.arrayHeader(parent, key, line) : this.tableHeader(parent, key, line)
  }

  private arrayHeader(parent: TomlTable, key: string, line: number): TomlTable {
    const table = this.newTable('header')
    const known = parent[key]
    if (known === undefined) {
      const array: Value[] = [table]
      this.origins.set(array, 'header')
      this.put(parent, key, array, line)
    } else if (Array.isArray(known) && this.origins.get(known) === 'header') {
      if (++this.values > maxValues) this.fail(`more than ${maxValues} values`)
      known.push(table)
    } else {
      this.fail('a key is defined twice')
    }
    // Where an element begins, for errors about what it lacks.
    this.lines.set(table, new Map([['', line]]))
    return table
  }

  private tableHeader(parent: TomlTable, key: string, line: number): TomlTable {
    const known = parent[key]
    if (known === undefined) {
      const table = this.newTable('header')
      this.put(parent, key, table, line)
      return table
    }
    if (typeof known !== 'object' || known === null || this.origins.get(known) !== 'path' || Array.isArray(known))
      this.fail('a table is defined twice')
    this.origins.set(known, 'header')
    return known as TomlTable
  }

  // ---- values ----

  private value(depth: number): Value {
    if (depth > maxDepth) this.fail(`nested deeper than ${maxDepth}`)
    this.skipSpaces()
    const first = this.text.charAt(this.at)
    if (first === '"' || first === "'") return this.string(first, true)
    if (this.take('[')) return this.array(depth + 1)
    if (this.take('{')) return this.inlineTable(depth + 1)
    const scalar = parseScalar((this.match(dayAndSpace) ?? '') + (this.match(bareWord) ?? ''))
    return 'value' in scalar ? scalar.value : this.fail(scalar.problem)
  }

  private array(depth: number): Value[] {
    const array: Value[] = []
    for (;;) {
      this.skipBlank()
      if (this.take(']')) return array
      if (++this.values > maxValues) this.fail(`more than ${maxValues} values`)
      array.push(this.value(depth))
      this.skipBlank()
      if (this.take(',')) continue
      if (this.take(']')) return array
      this.fail('expected , or ] in an array')
    }
  }

  private inlineTable(depth: number): TomlTable {
    const table = this.newTable('value')
    for (;;) {
      this.skipBlank()
      if (this.take('}')) return table
      this.member(table, depth)
      this.skipBlank()
      if (this.take(',')) continue
      if (this.take('}')) return table
      this.fail('expected , or } in an inline table')
    }
  }

  // ---- strings ----

  private string(quote: '"' | "'", multiLineAllowed: boolean): string {
    const end = multiLineAllowed && this.take(quote.repeat(3)) ? quote.repeat(3) : quote
    if (end === quote) this.at++
    else this.takeNewline() // right after the opening quotes, not part of the string
    const parts: string[] = []
    for (;;) {
      const text = this.match(plainText[quote] as RegExp)
      if (text !== undefined) parts.push(text)
      else if (this.take(end)) {
        // `""""a"""""`: up to two quotes may stand before the closing three.
        for (let extra = 0; extra < 2 && end !== quote && this.take(quote); extra++) parts.push(quote)
        return parts.join('')
      } else if (end !== quote && this.take(quote)) parts.push(quote)
      else if (quote === '"' && this.take('\\')) parts.push(this.escape(end !== quote))
      else if (end !== quote && this.takeNewline()) parts.push('\n')
      else this.fail(this.stringProblem())
    }
  }

  private stringProblem(): string {
    const isEnd = this.at === this.text.length || /[\r\n]/.test(this.text.charAt(this.at))
    return isEnd ? 'a string does not end' : 'a control character in a string'
  }

  private escape(multiLine: boolean): string {
    const skipped = multiLine ? this.match(continuation) : undefined
    if (skipped !== undefined) {
      this.line += skipped.split('\n').length - 1
      return ''
    }
    const letter = this.text.charAt(this.at++)
    if (Object.hasOwn(escapes, letter)) return escapes[letter] as string
    const digits = Object.hasOwn(codePoint, letter) ? this.match(codePoint[letter] as RegExp) : undefined
    if (digits === undefined) this.fail('a bad escape in a string')
    const code = parseInt(digits, 16)
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) this.fail('an escape that is no Unicode character')
    return String.fromCodePoint(code)
  }
}
