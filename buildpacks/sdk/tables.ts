/** A table of a parsed document: TOML, YAML or JSON. */
export type Table = Readonly<Record<string, unknown>>

export const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A table as it is; an empty one in place of anything else. */
export const tableOf = (value: unknown): Table => (isTable(value) ? value : {})
