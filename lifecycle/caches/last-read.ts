/** The content of a cache when it was last read, since other builds may replace it. A failure to read it is not kept. */
export class LastRead<T> {
  readonly #read: (signal?: AbortSignal) => Promise<T | undefined>
  #last: Promise<T | undefined> | undefined

  constructor(read: (signal?: AbortSignal) => Promise<T | undefined>) {
    this.#read = read
  }

  /** Reads it again. Objects from earlier reads do not change. */
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

  /** Makes the next caller read it again. */
  forget(): void {
    this.#last = undefined
  }
}
