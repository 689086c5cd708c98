import LibraryParser, { type Assignment, type State } from '@iarna/toml/lib/toml-parser.js'
import { TomlFloat, parseDate } from './toml-values.ts'

/**
 * @iarna/toml's parser, hardened for documents of buildpacks and images. By itself 3.0.0 lets `[hasOwnProperty]` write to
 * the built-in function of that name, has no limits, uses 40 bytes for each byte of a string, changes the values of dates
 * and floats, and reports no lines. This extends the class itself rather than scan the text before it: two parsers of one
 * text can be made to disagree. The package is pinned to a version; toml.test.ts covers everything that this relies on.
 */

/** A syntax error at `line`. The message quotes nothing of the source, which may be a secret that a link led to (X23). */
export class TomlError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

/** The lines of a table's keys, counted from 1. The key '' is the line where an element of an array of tables begins. */
export type Lines = Map<object, Map<string, number>>

/** The deepest nesting of tables and arrays. Opaque data may be 64 deep (read.ts), and is nested deeper in our documents. */
export const maxDepth = 96
/** Keys and elements in a document: a quarter of a million, where real ones have hundreds. */
export const maxValues = 1 << 18
/** The longest number or date, in characters. */
const maxWord = 1000

/** Alias for keys that the library would find in Object.prototype and treat as existing tables. */
const mark = '\ue000'
const toAlias = (key: string): string => (key in Object.prototype || key.startsWith(mark) ? mark + key : key)
export const fromAlias = (key: string): string => (key.startsWith(mark) ? key.slice(1) : key)

export const twice = 'a key is defined twice'
export const tooDeep = `nested deeper than ${maxDepth}`
export const expectedValue = 'expected a value: a string in quotes, a number, true, false, a date, [ or {'

type OurState = State & {
  /** Set while a part of a key is being read. */
  isKey?: boolean
  /** The line of the key before `=`. */
  line?: number
  /** The number of enclosing arrays and inline tables. */
  depth?: number
  /** The number as written. */
  word?: string
  /** The length of the part of `buf` that is one flat string. */
  flat?: number
}
type OurAssignment = Assignment & { line: number }

const closing = ']'.charCodeAt(0)
const word = /(?:\d{4}-\d\d-\d\d (?=\d))?[\w+.:-]+/y
const plain = {
  bareKey: /[A-Za-z0-9_-]+/y,
  basic: /[^"\\\x00-\x1f\x7f]+/y,
  literal: /[^'\x00-\x1f\x7f]+/y,
  multiLineBasic: /[^"\\\x00-\x08\x0b-\x1f\x7f]+/y,
  multiLineLiteral: /[^'\x00-\x08\x0b-\x1f\x7f]+/y,
}

/** Returns the value of an own key of a raw table. */
const child = (table: object, key: string): object => (table as Record<string, object>)[key] as object

export class TomlParser extends LibraryParser {
  readonly lines: Lines = new Map()
  /** The line of the key or header that was read last. */
  keyLine = 1
  /** Closed tables: one with a header for keys like `a.b = 1`, one made by such a key for headers. The library allows both. */
  private readonly origins = new WeakMap<object, 'header' | 'key'>()
  declare protected state: OurState
  private values = 0

  private fail(message: string): never {
    throw new TomlError(message, this.line + 1)
  }

  // ---- limits ----

  private count(): void {
    if (++this.values > maxValues) this.fail(`more than ${maxValues} values`)
  }

  private deepen(): void {
    this.state.depth = (this.state.depth ?? 0) + 1
    if (this.state.depth > maxDepth) this.fail(tooDeep)
  }

  protected override call(state: () => unknown, returnWith?: (value: never) => unknown): void {
    const { depth } = this.state
    super.call(state, returnWith)
    if (depth !== undefined) this.state.depth = depth
    if (state === this.parseInlineList || state === this.parseInlineTable) this.deepen()
  }

  protected override recordInlineListValue(value: unknown): unknown {
    this.count()
    return super.recordInlineListValue(value)
  }

  // ---- keys: their names and their lines ----

  protected override parseKeyword(): unknown {
    this.count()
    this.state.isKey = true
    return super.parseKeyword()
  }

  protected override return(value?: unknown): void {
    super.return(this.state.isKey === true ? toAlias(this.state.buf) : this.exact(value))
  }

  private note(table: object, key: string, line: number): void {
    let lines = this.lines.get(table)
    if (!lines) this.lines.set(table, (lines = new Map<string, number>()))
    if (!lines.has(key)) lines.set(key, line)
  }

  protected override parseTableMore(key: string): unknown {
    const [parent, isLast] = [this.ctx, this.char === closing]
    this.keyLine = this.line + 1
    if (isLast && this.origins.get(child(parent, key)) === 'key') throw new TomlError(twice, this.keyLine)
    const next = super.parseTableMore(key)
    if (this.ctx !== parent) this.noteStep(parent, key)
    if (isLast) this.origins.set(this.ctx, 'header')
    return next
  }
  protected override parseListMore(key: string): unknown {
    const [parent, isLast] = [this.ctx, this.char === closing]
    this.keyLine = this.line + 1
    const next = super.parseListMore(key)
    if (this.ctx !== parent) this.noteStep(parent, key)
    if (isLast) this.note(this.ctx, '', this.keyLine)
    return next
  }
  private noteStep(table: object, key: string): void {
    this.note(table, key, this.keyLine)
    this.deepen()
  }

  protected override recordAssignKeyword(key: string): unknown {
    if (this.state.line !== undefined) this.deepen()
    this.state.line = this.line + 1
    return super.recordAssignKeyword(key)
  }
  protected override recordAssignValue(value: unknown): unknown {
    const assignment = { key: this.state.resultTable, value, line: this.state.line }
    return this.returnNow(assignment)
  }
  protected override recordAssignStatement(assignment: OurAssignment): unknown {
    const [table, path] = [this.ctx, [...assignment.key]]
    this.keyLine = assignment.line
    const next = super.recordAssignStatement(assignment)
    this.notePath(table, path, assignment.line)
    return next
  }
  protected override recordInlineTableValue(assignment: OurAssignment): unknown {
    const [table, path] = [this.state.resultTable as object, [...assignment.key]]
    this.keyLine = assignment.line
    const next = super.recordInlineTableValue(assignment)
    this.notePath(table, path, assignment.line)
    return next
  }
  /** Called after `a.b.c = 1`, which may not extend a table with its own header. */
  private notePath(from: object, path: readonly string[], line: number): void {
    let table = from
    for (const [i, key] of path.entries()) {
      this.note(table, key, line)
      if (i === path.length - 1) return
      table = child(table, key)
      if (this.origins.get(table) === 'header') throw new TomlError(twice, line)
      this.origins.set(table, 'key')
    }
  }

  // ---- numbers and dates as written ----

  protected override parseNumberSign(): unknown {
    this.state.word = this.peekWord()
    return super.parseNumberSign()
  }

  protected override parseNumberOrDateTime(): unknown {
    const found = this.peekWord()
    if (!/^\d+[-:]/.test(found)) {
      this.state.word = found
      return super.parseNumberOrDateTime()
    }
    const date = parseDate(found)
    if (!date) this.fail(expectedValue)
    this.ii += found.length - 1
    return this.return(date)
  }

  private peekWord(): string {
    word.lastIndex = this.ii
    const found = word.exec(this._buf ?? '')?.[0] ?? ''
    if (found.length > maxWord) this.fail(`a word of more than ${maxWord} characters`)
    return found
  }

  /** Returns the exact number in the document. Refuses a number that it would have to change. */
  private exact(value: unknown): unknown {
    const written = this.state.word
    if (written === undefined || typeof value !== 'object' || value === null) return value
    const number = value.valueOf()
    if (typeof number === 'bigint') this.fail('an integer is beyond ±(2^53 - 1); write it as a string')
    if (typeof number !== 'number' || !/^[^xX]*[.eE]/.test(written)) return value
    if (!Number.isFinite(number)) this.fail('a number is too large for a 64-bit float')
    return Number.isInteger(number) ? new TomlFloat(number) : number
  }

  // ---- reads long text at once: otherwise each character costs a string ----

  /** Takes literal characters except the last, from which the library continues. */
  private takeRun(pattern: RegExp): void {
    if (this._buf === null) return
    const { state } = this
    if (state.buf.length - (state.flat ?? 0) > 1 << 20) {
      state.buf.charCodeAt(0) // makes V8 join its many partial strings
      state.flat = state.buf.length
    }
    pattern.lastIndex = this.ii
    const length = (pattern.exec(this._buf)?.[0].length ?? 0) - 1
    if (length <= 0) return
    const run = this._buf.slice(this.ii, this.ii + length)
    for (let at = run.indexOf('\n'); at >= 0; at = run.indexOf('\n', at + 1)) this.line++
    state.buf += run
    this.ii += length
    this.char = this._buf.codePointAt(this.ii)
  }

  protected override parseBareKey(): unknown {
    this.takeRun(plain.bareKey)
    return super.parseBareKey()
  }
  protected override parseBasicString(): unknown {
    this.takeRun(plain.basic)
    return super.parseBasicString()
  }
  protected override parseLiteralString(): unknown {
    this.takeRun(plain.literal)
    return super.parseLiteralString()
  }
  protected override parseMultiStringContent(): unknown {
    this.takeRun(plain.multiLineBasic)
    return super.parseMultiStringContent()
  }
  protected override parseLiteralMultiStringContent(): unknown {
    this.takeRun(plain.multiLineLiteral)
    return super.parseLiteralMultiStringContent()
  }
}
