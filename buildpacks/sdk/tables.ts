import { isTable } from '../../lifecycle/spec/read.ts'

export { isTable }

/** A table of a parsed document: TOML, YAML or JSON. */
export type Table = Readonly<Record<string, unknown>>

/** A table as it is; an empty one in place of anything else. */
export const tableOf = (value: unknown): Table => (isTable(value) ? value : {})
