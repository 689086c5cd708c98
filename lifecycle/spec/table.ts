import type { Metadata } from './types.ts'

/** Whether a value of a parsed document (TOML, YAML, JSON) is a table: no array, no date and no other object. */
export function isTable(value: unknown): value is Metadata {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === null || prototype === Object.prototype
}
