/** Something is wrong at `line`; the message quotes nothing of the source, which may be a secret that a link led to. */
export class TomlError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

const spaces = /[ \t]*/y
const comment = /#[^\x00-\x08\x0a-\x1f\x7f]*/y
const newline = /\r?\n/y

/** A place in the text of a document. Patterns are sticky: they match here or not at all. */
export class TomlCursor {
  private readonly text: string
  private at = 0
  /** Counted from 1. */
  line = 1

  constructor(text: string) {
    this.text = text
  }

  fail(message: string): never {
    throw new TomlError(message, this.line)
  }

  atEnd(): boolean {
    return this.at === this.text.length
  }

  /** The next character; empty at the end. */
  peek(): string {
    return this.text.charAt(this.at)
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false
    this.at += token.length
    return true
  }

  skipSpaces(): void {
    this.match(spaces)
  }

  takeNewline(): boolean {
    if (this.match(newline) === undefined) return false
    this.line++
    return true
  }

  /** Spaces, comments and newlines. */
  skipBlank(): void {
    do {
      this.skipSpaces()
      this.match(comment)
    } while (this.takeNewline())
  }

  endOfLine(): void {
    this.skipSpaces()
    this.match(comment)
    if (!this.atEnd() && !this.takeNewline()) this.fail('expected the end of the line')
  }
}
