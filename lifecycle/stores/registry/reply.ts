export interface Reply {
  readonly method: string
  readonly url: URL
  readonly status: number
  /** All values of a header, in their order. */
  header(name: string): string[]
  /** The bytes as they arrive. The caller may stop early. @throws Transient, BaleError */
  body(): AsyncGenerator<Uint8Array>
  discard(): Promise<void>
}
