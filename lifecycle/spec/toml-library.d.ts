/** The parts of @iarna/toml 3.0.0's parser that toml-parser.ts extends. The package declares only its public functions. */
declare module '@iarna/toml/lib/toml-parser.js' {
  /** A key, value or array that is being read. The parser has a stack of them. */
  export interface State {
    /** The text of the key or value so far. */
    buf: string
    /** The parts of a key before `=`; the table within `{`. */
    resultTable: unknown
  }
  export interface Assignment {
    key: string[]
    value: unknown
  }

  /**
   * A state machine that reads a character at a time: `parse…` is a state, `record…` takes the result of the state above it.
   */
  export default class LibraryParser {
    /** Null at and after the end of the text. */
    protected _buf: string | null
    /** The position of the current character. */
    protected ii: number
    protected char: number | undefined
    /** Counted from 0. */
    line: number
    protected state: State
    /** The table that the following lines fill. */
    protected ctx: object

    parse(text: string): void
    finish(): object

    protected call(state: () => unknown, returnWith?: (value: never) => unknown): void
    /** Returns the value, or else the text so far, to the state below, and consumes the current character. */
    protected return(value?: unknown): void
    /** Like `return`, but the state below sees the current character too. */
    protected returnNow(value?: unknown): unknown

    protected parseTable(): unknown
    protected parseTableMore(key: string): unknown
    protected parseList(): unknown
    protected parseListMore(key: string): unknown
    protected parseAssign(): unknown
    protected parseKeyword(): unknown
    protected parseBareKey(): unknown
    protected recordAssignKeyword(key: string): unknown
    protected recordAssignValue(value: unknown): unknown
    protected recordAssignStatement(assignment: Assignment): unknown
    protected recordInlineTableValue(assignment: Assignment): unknown
    protected recordInlineListValue(value: unknown): unknown
    protected parseInlineList(): unknown
    protected parseInlineTable(): unknown
    protected parseNumberSign(): unknown
    protected parseNumberOrDateTime(): unknown
    protected parseBasicString(): unknown
    protected parseLiteralString(): unknown
    protected parseMultiStringContent(): unknown
    protected parseLiteralMultiStringContent(): unknown
  }
}
