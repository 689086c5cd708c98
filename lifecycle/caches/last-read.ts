/** What a cache holds, as it was read last: other builds may replace it. A failure to read it is not kept. */
export class LastRead<T> {
  readonly #read: (signal?: AbortSignal) => Promise<T | undefined>
  #last: Promise<T | undefined> | undefined

  constructor(read: (signal?: AbortSignal) => Promise<T | undefined>) {
    this.#read = read
  }

  /** Reads it anew. Objects that were read from an earlier one stay as they were. */
  again(signal?: AbortSignal): Promise<T | undefined> {
    const reading = this.#read(signal)
    reading.catch(() => {
      if (this.#last === reading) this.#last = undefined
    })
    return (this.#last = reading)
  }

  get(signal?: AbortSignal): Promise<T | undefined> {
    return this.#last ?? this.again(signal)
  }

  set(written: T): void {
    this.#last = Promise.resolve(written)
  }

  /** It is read again by whoever wants it. */
  forget(): void {
    this.#last = undefined
  }
}
