/** A table of a parsed TOML document; empty if there is none of that name. */
export function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
