/** Where a buildpack's words go: the lifecycle shows both streams. */
export interface Output {
  stdout(text: string): void
  stderr(text: string): void
}

/** Writes what a buildpack does, for people: headings at the margin, what belongs to them indented. */
export class Log {
  readonly #output: Output
  readonly #now: () => number

  /** `now` counts milliseconds, from wherever. */
  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output
    this.#now = now
  }

  heading(text: string): void {
    this.#output.stdout(`${text}\n`)
  }

  info(text: string): void {
    this.#output.stdout(indent(text, '  '))
  }

  /** A line that another program printed. */
  detail(text: string): void {
    this.#output.stdout(indent(text, '    '))
  }

  warning(text: string, fix?: string): void {
    this.#output.stderr(indent(`Warning: ${text}`, '  '))
    if (fix !== undefined) this.#output.stderr(indent(fix, '    '))
  }

  error(text: string, fix?: string): void {
    this.#output.stderr(indent(`Error: ${text}`, ''))
    if (fix !== undefined) this.#output.stderr(indent(fix, '  '))
  }

  /** Says what is about to be done, does it, and says how long it took, unless that was no time at all. */
  async step<T>(text: string, work: () => Promise<T>): Promise<T> {
    this.info(text)
    const start = this.#now()
    const result = await work()
    const seconds = (this.#now() - start) / 1000
    if (seconds >= 0.1) this.info(`Done in ${seconds.toFixed(1)} s`)
    return result
  }
}

function indent(text: string, by: string): string {
  return text.replace(/\n$/, '').replaceAll(/^(?=.)/gm, by) + '\n'
}
