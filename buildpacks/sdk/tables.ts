import { isTable } from '../../lifecycle/spec/table.ts'

export { isTable }

/** A table of a parsed document: TOML, YAML or JSON. */
export type Table = Readonly<Record<string, unknown>>

/** The value if it is a table, else an empty table. */
export const tableOf = (value: unknown): Table => (isTable(value) ? value : {})
