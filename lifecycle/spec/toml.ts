import { BaleError } from '../errors.ts'
import { type Lines, TomlError } from './toml-parser.ts'
import { parseTomlText } from './toml-text.ts'
import { TomlDate, TomlFloat } from './toml-values.ts'
import type { Metadata } from './types.ts'

/** The most bytes of a document. The launcher has the same limit. */
const maxDocumentSize = 16 << 20

/** A parsed document and the lines of its keys. */
export interface TomlDocument {
  readonly root: Metadata
  readonly lines: Lines
}

/**
 * Parses a TOML document. Tables have no prototype, integers beyond 2^53 are refused, and dates and the floats that
 * JavaScript cannot represent are TomlDate and TomlFloat. Skips a byte order mark, as Go's parser and the launcher do:
 * editors on Windows write one.
 * @param where the document's name, for errors: a path
 * @throws BaleError 'input' at `where:line`, never quoting the document: it may be a secret that a link led to
 */
export function parseToml(content: Uint8Array | string, where: string): Metadata {
  return parseTomlDocument(content, where).root
}

/** Parses a document with the lines of its keys. */
export function parseTomlDocument(content: Uint8Array | string, where: string): TomlDocument {
  const text = decode(content, where)
  try {
    return parseTomlText(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new BaleError('input', `not TOML: ${error.message}`, { where: `${where}:${error.line}` })
  }
}

/** Decodes the text of a document: UTF-8, at most 16 MiB. Removes the byte order mark. */
export function decode(content: Uint8Array | string, where: string): string {
  if (content.length > maxDocumentSize)
    throw new BaleError('input', `larger than ${maxDocumentSize >> 20} MiB`, { where })
  if (typeof content === 'string') return content.replace(/^\ufeff/, '')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    throw new BaleError('input', 'not UTF-8', { where: `${where}:${firstBadLine(content)}` })
  }
}

function firstBadLine(content: Uint8Array): number {
  // A newline is never part of a longer sequence, so each line can be checked alone.
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let line = 1, start = 0; ; line++) {
    const end = content.indexOf(0x0a, start)
    try {
      decoder.decode(content.subarray(start, end < 0 ? undefined : end))
    } catch {
      return line
    }
    if (end < 0) return line
    start = end + 1
  }
}

/**
 * Formats a table as a document: deterministic, keys in their order, each table's plain keys before its tables. Leaves out
 * keys whose value is undefined or null, which TOML lacks.
 */
export function formatToml(value: Metadata): string {
  const out: string[] = []
  writeTable(out, [], value)
  return out.length === 0 ? '' : `${out.join('\n')}\n`
}

type Table = Readonly<Record<string, unknown>>

function isTable(value: unknown): value is Table {
  if (typeof value !== 'object' || value === null) return false
  return !Array.isArray(value) && !(value instanceof TomlDate || value instanceof TomlFloat || value instanceof Date)
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null
const isArrayOfTables = (value: unknown): value is readonly Table[] =>
  Array.isArray(value) && value.length > 0 && value.every(isTable)

function writeTable(out: string[], path: readonly string[], table: Table, header?: string): void {
  const entries = Object.entries(table).filter(([, value]) => !isAbsent(value))
  const plain = entries.filter(([, value]) => !isTable(value) && !isArrayOfTables(value))
  // `[a]` may be omitted when `[a.b]` follows.
  if (header !== undefined && (header.startsWith('[[') || plain.length > 0 || entries.length === 0)) {
    if (out.length > 0) out.push('')
    out.push(header)
  }
  for (const [key, value] of plain) out.push(`${formatKey(key)} = ${formatValue(value)}`)
  for (const [key, value] of entries) {
    const inner = [...path, formatKey(key)]
    if (isTable(value)) writeTable(out, inner, value, `[${inner.join('.')}]`)
    else if (isArrayOfTables(value)) for (const item of value) writeTable(out, inner, item, `[[${inner.join('.')}]]`)
  }
}

const formatKey = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : formatString(key))

function formatValue(value: unknown): string {
  if (typeof value === 'string') return formatString(value)
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return formatNumber(value)
  if (value instanceof TomlDate) return value.text
  if (value instanceof TomlFloat) return value.toString()
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value))
    return `[${value
      .filter(v => !isAbsent(v))
      .map(formatValue)
      .join(', ')}]`
  if (isTable(value)) {
    const entries = Object.entries(value).filter(([, v]) => !isAbsent(v))
    return entries.length === 0
      ? '{}'
      : `{ ${entries.map(([k, v]) => `${formatKey(k)} = ${formatValue(v)}`).join(', ')} }`
  }
  throw new TypeError(`TOML cannot hold a ${typeof value}`)
}

function formatNumber(value: number): string {
  // An unsafe integer from JSON may have lost precision, so it is written as a float.
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value)
  return Number.isInteger(value) || !Number.isFinite(value) ? new TomlFloat(value).toString() : String(value)
}

const shortEscapes: Record<string, string> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
}

function formatString(text: string): string {
  const escaped = text
    .toWellFormed()
    .replace(/["\\\x00-\x1f\x7f]/g, c => shortEscapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${escaped}"`
}
