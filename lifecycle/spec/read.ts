import { BaleError } from '../errors.ts'
import { decode, parseTomlDocument } from './toml.ts'
import { isTable } from './table.ts'
import { type Lines, maxDepth, maxValues } from './toml-parser.ts'
import type { Metadata } from './types.ts'

/**
 * Typed access to the tables of a document. Each function takes a key and returns its value, or throws an error with its
 * place: `buildpack.toml:3 buildpack.version: …`. Unknown keys are accepted, so that documents may be newer than Bale. A
 * null value counts as absent: Go writes empty lists as null in JSON.
 */

/** A table and its place in a document. */
export interface Node {
  readonly table: Metadata
  /** Keys from the document's root: `buildpack`, `targets[0].distros[1]`; empty for the root. */
  readonly path: string
  readonly document: { readonly where: string; readonly lines?: Lines }
  /** Where the table begins, if known. */
  readonly line?: number
}

/** The root of a TOML document. */
export function readToml(content: Uint8Array | string, where: string): Node {
  const { root, lines } = parseTomlDocument(content, where)
  return { table: root, path: '', document: { where, lines } }
}

/** The root of a JSON document, which must be an object; tables come without prototypes. */
export function readJson(json: Uint8Array | string, where: string): Node {
  const text = decode(json, where)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // V8's message quotes the text, which may be a secret (X23).
    throw new BaleError('input', 'not JSON', { where })
  }
  const budget = { values: maxValues }
  const root = withoutPrototypes(value, where, maxDepth, budget)
  if (!isTable(root)) throw new BaleError('input', `not a JSON object but ${kindOf(root)}`, { where })
  return { table: root, path: '', document: { where } }
}

function withoutPrototypes(value: unknown, where: string, depth: number, budget: { values: number }): unknown {
  if (depth < 0) throw new BaleError('input', `nested deeper than ${maxDepth}`, { where })
  if (--budget.values < 0) throw new BaleError('input', `more than ${maxValues} values`, { where })
  if (Array.isArray(value)) return value.map(v => withoutPrototypes(v, where, depth - 1, budget))
  if (typeof value !== 'object' || value === null) return value
  const table = Object.create(null) as Record<string, unknown>
  for (const key of Object.keys(value))
    table[key] = withoutPrototypes((value as Record<string, unknown>)[key], where, depth - 1, budget)
  return table
}

/** Makes an error at a key, or at the table itself if the key is empty. */
export function errorAt(node: Node, key: string, message: string, fix?: string): BaleError {
  return new BaleError('input', message, { where: whereOf(node, key), fix })
}

/** Formats the place of a key: `buildpack.toml:3 buildpack.version`. */
export function whereOf(node: Node, key: string): string {
  const { where, lines } = node.document
  const ofTable = lines?.get(node.table)
  const line = ofTable?.get(key) ?? ofTable?.get('') ?? node.line
  const place = line === undefined ? where : `${where}:${line}`
  const path = pathOf(node, key)
  return path === '' ? place : `${place} ${path}`
}

function pathOf(node: Node, key: string): string {
  if (key === '') return node.path
  return node.path === '' ? shown(key) : `${node.path}.${shown(key)}`
}

const shown = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : quote(key))

/** Formats a value for an error: short, on one line, and without characters that could forge log lines. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  const escaped = text.replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return escaped.length <= 100 ? escaped : `${escaped.slice(0, 97)}…`
}

/** Formats a name for a message. Quotes it if it has unusual characters. */
export function plain(name: string): string {
  return name.length <= 100 && /^[\x21-\x7e\u00a1-\u02ff]+$/.test(name) ? name : quote(name)
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a string'
  if (typeof value === 'boolean') return 'a boolean'
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number'
  if (Array.isArray(value)) return 'an array'
  if (value === null) return 'null'
  return isTable(value) ? 'a table' : 'a number or a date'
}

const valueOf = (node: Node, key: string): unknown =>
  Object.hasOwn(node.table, key) ? (node.table[key] ?? undefined) : undefined

function wrongKind(node: Node, key: string, value: unknown, wanted: string): BaleError {
  return errorAt(node, key, `not ${wanted} but ${kindOf(value)}`)
}

/** Refuses NUL: lower layers of the system would silently cut arguments, paths and labels there. */
function checkedText(node: Node, key: string, value: string): string {
  if (value.includes('\0')) throw errorAt(node, key, 'a string holds a NUL character')
  return value
}

/** Reads a string. Returns undefined if the key is absent. */
export function text(node: Node, key: string): string | undefined {
  const value = valueOf(node, key)
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw wrongKind(node, key, value, 'a string')
  return checkedText(node, key, value)
}

/** Reads a required string that must not be empty. */
export function requiredText(node: Node, key: string, fix?: string): string {
  const value = text(node, key)
  if (value === undefined) throw missing(node, key, fix)
  if (value === '') throw errorAt(node, key, 'empty', fix)
  return value
}

/** Makes the error for a missing required key. It names the table's line. */
export function missing(node: Node, key: string, fix?: string): BaleError {
  return errorAt(node, key, 'missing', fix ?? `add ${shown(key)} = …`)
}

/** `{ key: value }` if the key exists and is not empty, for spreading into a value with optional fields. */
export function optionalText<K extends string>(node: Node, key: string, name: K): { readonly [P in K]?: string } {
  const value = text(node, key)
  return value === undefined || value === '' ? {} : ({ [name]: value } as { readonly [P in K]?: string })
}

export function flag(node: Node, key: string, fallback = false): boolean {
  const value = valueOf(node, key)
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw wrongKind(node, key, value, 'true or false')
  return value
}

/** Returns whether the document has the key. */
export function has(node: Node, key: string): boolean {
  return valueOf(node, key) !== undefined
}

/** Reads an array of strings. Returns none if the key is absent. */
export function texts(node: Node, key: string): readonly string[] {
  return array(node, key, 'an array of strings').map(item => {
    if (typeof item !== 'string') throw wrongKind(node, key, item, 'a string')
    return checkedText(node, key, item)
  })
}

function array(node: Node, key: string, wanted: string): readonly unknown[] {
  const value = valueOf(node, key) ?? []
  if (!Array.isArray(value)) throw wrongKind(node, key, value, wanted)
  return value
}

/** Reads a table. Returns undefined if the key is absent. */
export function table(node: Node, key: string): Node | undefined {
  const value = valueOf(node, key)
  if (value === undefined) return undefined
  if (!isTable(value)) throw wrongKind(node, key, value, 'a table')
  return inner(node, key, value, pathOf(node, key))
}

/** Reads an array of tables. Returns none if the key is absent. */
export function tables(node: Node, key: string): readonly Node[] {
  return array(node, key, 'an array of tables').map((item, i) => {
    if (!isTable(item)) throw wrongKind(node, key, item, 'a table')
    return inner(node, key, item, `${pathOf(node, key)}[${i}]`)
  })
}

/** Throws if two of the tables have the same name. `nameOf` returns undefined for tables that need no name. */
export function rejectTwice<T>(
  nodes: readonly Node[],
  values: readonly T[],
  key: string,
  nameOf: (value: T) => string | undefined,
): void {
  const seen = new Set<string>()
  values.forEach((value, i) => {
    const name = nameOf(value)
    if (name === undefined) return
    if (seen.has(name)) throw errorAt(nodes[i] as Node, key, `${quote(name)} appears twice`)
    seen.add(name)
  })
}

/** Reads the tables within a table, by key. Returns none if the key is absent. */
export function tableMap(node: Node, key: string): readonly (readonly [string, Node])[] {
  const parent = table(node, key)
  if (!parent) return []
  return Object.keys(parent.table).flatMap(name => {
    const found = table(parent, name)
    return found ? [[name, found] as const] : []
  })
}

function inner(node: Node, key: string, value: Metadata, path: string): Node {
  const line = node.document.lines?.get(node.table)?.get(key) ?? node.line
  return { table: value, path, document: node.document, line }
}

/** Reads opaque data: an unchanged table, empty if the key is absent. At most 64 deep, so that it can be copied. */
export function metadata(node: Node, key: string): Metadata {
  const found = table(node, key)?.table ?? (Object.create(null) as Metadata)
  if (isDeeper(found, maxDataDepth)) throw errorAt(node, key, `nested deeper than ${maxDataDepth}`)
  return found
}

/** Lower than the limit for documents, since labels and analyzed.toml nest this data some tables deeper. */
const maxDataDepth = 64

function isDeeper(value: unknown, depth: number): boolean {
  const isArray = Array.isArray(value)
  if (!isArray && !isTable(value)) return false
  return depth === 0 || (isArray ? value : Object.values(value)).some(inner => isDeeper(inner, depth - 1))
}
