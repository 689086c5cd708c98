import { isTable } from './table.ts'
import type { Metadata } from './types.ts'

/** Formats JSON for labels: the same value gives the same text, regardless of the order of its maps. */

export const sortedEntries = <T>(map: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1))

/** Makes a map that supports any key: an ordinary object would lose `__proto__`. */
export function mapOf(entries: readonly (readonly [string, unknown])[]): Metadata {
  const map = Object.create(null) as Record<string, unknown>
  for (const [key, value] of entries) map[key] = value
  return map
}

/** Returns data with the keys of all its tables sorted, ready for JSON.stringify. */
export function sortedData(value: Metadata): Metadata {
  return mapOf(sortedEntries(value).map(([key, v]) => [key, sortedValue(v)]))
}

function sortedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedValue)
  if (isTable(value)) return sortedData(value)
  // JSON.stringify would turn it into null, and the next build would lose the value.
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
