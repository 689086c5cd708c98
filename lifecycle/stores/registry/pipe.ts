/**
 * Passes chunks from a pushing writer to a pulling reader, one at a time: `write` resolves when the reader requests the
 * next chunk. When one side fails, so does the other.
 */
export class Pipe implements AsyncIterable<Uint8Array> {
  #offer = Promise.withResolvers<Uint8Array | undefined>()
  #taken = Promise.withResolvers<void>()

  async write(chunk: Uint8Array): Promise<void> {
    this.#offer.resolve(chunk)
    await this.#taken.promise
  }

  /** Ends the reader's iteration. */
  end(): void {
    this.#offer.resolve(undefined)
  }

  /** Ends both sides with this error unless they have ended. */
  fail(error: unknown): void {
    for (const side of [this.#offer, this.#taken]) {
      side.promise.catch(() => {}) // nothing may be waiting on either side
      side.reject(error)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = await this.#offer.promise
      if (chunk === undefined) return
      yield chunk
      const taken = this.#taken
      this.#offer = Promise.withResolvers()
      this.#taken = Promise.withResolvers()
      taken.resolve()
    }
  }
}
