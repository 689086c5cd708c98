import { TomlCursor } from './toml-cursor.ts'
import { parseScalar } from './toml-scalar.ts'
import { readTomlString } from './toml-string.ts'
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

/** Tables and arrays within one another. Data of others may be 64 deep (read.ts), and then stand in documents of ours. */
export const maxDepth = 96
/** Keys and elements in a document: a quarter of a million, where real ones have hundreds. */
export const maxValues = 1 << 18

// How a table or array came to be decides what may add to it later.
type Origin =
  | 'value' // `[1, 2]` or `{ a = 1 }`: closed
  | 'header' // `[a]`, `[[a]]`
  | 'path' // the `a` of `[a.b]`: a later `[a]` may still define it
  | 'key' // the `a` of `a.b = 1`: more such keys may add to it

/** A table and how many tables and arrays it is in, itself counted. */
interface Place {
  readonly table: TomlTable
  readonly depth: number
}

const bareKey = /[A-Za-z0-9_-]+/y
const bareWord = /[A-Za-z0-9_+.:-]+/y
const dayAndSpace = /\d{4}-\d\d-\d\d (?=\d)/y

/** @throws TomlError */
export function parseTomlText(text: string): { root: TomlTable; lines: Lines } {
  const parser = new Parser(text)
  return { root: parser.document(), lines: parser.lines }
}

class Parser {
  readonly lines: Lines = new Map()
  private readonly cursor: TomlCursor
  private values = 0
  private readonly origins = new Map<object, Origin>()

  constructor(text: string) {
    this.cursor = new TomlCursor(text)
  }

  document(): TomlTable {
    const root: Place = { table: this.newTable('header'), depth: 1 }
    let place = root
    for (;;) {
      this.cursor.skipBlank()
      if (this.cursor.atEnd()) return root.table
      if (this.cursor.take('[')) place = this.header(root)
      else this.member(place)
      this.cursor.endOfLine()
    }
  }

  // ---- tables ----

  private newTable(origin: Origin): TomlTable {
    const table = Object.create(null) as TomlTable
    this.origins.set(table, origin)
    return table
  }

  private count(): void {
    if (++this.values > maxValues) this.cursor.fail(`more than ${maxValues} values`)
  }

  private checkDepth(depth: number): void {
    if (depth > maxDepth) this.cursor.fail(`nested deeper than ${maxDepth}`)
  }

  private put(table: TomlTable, key: string, value: Value, line: number): void {
    this.count()
    table[key] = value
    let lines = this.lines.get(table)
    if (!lines) this.lines.set(table, (lines = new Map<string, number>()))
    lines.set(key, line)
  }

  /**
   * Reads `a.b.c` and walks to the table that holds the last part, making tables on the way. A header may walk through any
   * table that is not closed and into the last element of an array of tables; a dotted key only through tables that no
   * header of their own defined.
   */
  private path(from: Place, origin: 'path' | 'key'): Place & { readonly key: string } {
    let place = from
    for (;;) {
      const key = this.keyPart()
      this.cursor.skipSpaces()
      if (!this.cursor.take('.')) return { ...place, key }
      this.cursor.skipSpaces()
      place = this.step(place, key, origin)
      this.checkDepth(place.depth)
    }
  }

  private step({ table, depth }: Place, key: string, origin: 'path' | 'key'): Place {
    const next = table[key]
    if (next === undefined) {
      const made = this.newTable(origin)
      this.put(table, key, made, this.cursor.line)
      return { table: made, depth: depth + 1 }
    }
    const known = typeof next === 'object' && next !== null ? this.origins.get(next) : undefined
    if (origin === 'path' && Array.isArray(next) && known === 'header')
      return { table: next.at(-1) as TomlTable, depth: depth + 2 }
    const isOpen = origin === 'key' ? known === 'key' || known === 'path' : known !== undefined && known !== 'value'
    if (!isOpen || Array.isArray(next)) this.cursor.fail('a key is defined twice')
    if (origin === 'key') this.origins.set(next as TomlTable, 'key')
    return { table: next as TomlTable, depth: depth + 1 }
  }

  private keyPart(): string {
    const quote = this.cursor.peek()
    if (quote === '"' || quote === "'") return readTomlString(this.cursor, quote, false)
    return this.cursor.match(bareKey) ?? this.cursor.fail('expected a key')
  }

  private member(place: Place): void {
    const line = this.cursor.line
    const { table, depth, key } = this.path(place, 'key')
    if (!this.cursor.take('=')) this.cursor.fail('expected = after the key')
    if (key in table) this.cursor.fail('a key is defined twice')
    this.put(table, key, this.value(depth), line)
  }

  /** After `[` or `[[`: the table that the following lines fill. */
  private header(root: Place): Place {
    const line = this.cursor.line
    const isArray = this.cursor.take('[')
    this.cursor.skipSpaces()
    const { table: parent, depth, key } = this.path(root, 'path')
    if (!this.cursor.take(isArray ? ']]' : ']')) this.cursor.fail('expected ] after the table name')
    const table = isArray ? this.arrayHeader(parent, key, line) : this.tableHeader(parent, key, line)
    const place = { table, depth: depth + (isArray ? 2 : 1) }
    this.checkDepth(place.depth)
    return place
  }

  private arrayHeader(parent: TomlTable, key: string, line: number): TomlTable {
    const table = this.newTable('header')
    const known = parent[key]
    if (known === undefined) {
      const array: Value[] = [table]
      this.origins.set(array, 'header')
      this.put(parent, key, array, line)
    } else if (Array.isArray(known) && this.origins.get(known) === 'header') {
      this.count()
      known.push(table)
    } else {
      this.cursor.fail('a key is defined twice')
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
      this.cursor.fail('a table is defined twice')
    this.origins.set(known, 'header')
    return known as TomlTable
  }

  // ---- values ----

  /** A value in a table or array of this depth. */
  private value(depth: number): Value {
    this.cursor.skipSpaces()
    const first = this.cursor.peek()
    if (first === '"' || first === "'") return readTomlString(this.cursor, first, true)
    if (this.cursor.take('[')) return this.array(depth + 1)
    if (this.cursor.take('{')) return this.inlineTable(depth + 1)
    const scalar = parseScalar((this.cursor.match(dayAndSpace) ?? '') + (this.cursor.match(bareWord) ?? ''))
    return 'value' in scalar ? scalar.value : this.cursor.fail(scalar.problem)
  }

  private array(depth: number): Value[] {
    this.checkDepth(depth)
    const array: Value[] = []
    for (;;) {
      this.cursor.skipBlank()
      if (this.cursor.take(']')) return array
      this.count()
      array.push(this.value(depth))
      this.cursor.skipBlank()
      if (this.cursor.take(',')) continue
      if (this.cursor.take(']')) return array
      this.cursor.fail('expected , or ] in an array')
    }
  }

  private inlineTable(depth: number): TomlTable {
    this.checkDepth(depth)
    const table = this.newTable('value')
    for (;;) {
      this.cursor.skipBlank()
      if (this.cursor.take('}')) return table
      this.member({ table, depth })
      this.cursor.skipBlank()
      if (this.cursor.take(',')) continue
      if (this.cursor.take('}')) return table
      this.cursor.fail('expected , or } in an inline table')
    }
  }
}
