/** The streams that a buildpack writes to. The lifecycle shows both. */
export interface Output {
  stdout(text: string): void
  stderr(text: string): void
}

/** Writes a log for users: headings at the margin, details indented. */
export class Log {
  readonly #output: Output
  readonly #now: () => number

  /** `now` counts milliseconds from any starting point. */
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

  /** A line from the output of another program. */
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

  /** Prints the step's text, runs it, and prints how long it took unless that was negligible. */
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
