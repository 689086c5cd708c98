/** Values of TOML that JavaScript lacks. Both kinds become plain JSON in a label, which has no TOML types. */

/** A date, a time or both, as written in the document: `1979-05-27T00:32:00.999999-07:00`. A string in JSON. */
export class TomlDate {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toJSON(): string {
    return this.text
  }
}

const time = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?`
const zone = String.raw`(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)`
const dateOrTime = new RegExp(String.raw`^(?:(\d{4}-\d\d-\d\d)(?:[Tt ]${time}${zone}?)?|${time})$`)

/** Parses a date. Returns undefined for any other word, such as February 30. */
export function parseDate(word: string): TomlDate | undefined {
  const match = dateOrTime.exec(word)
  if (!match || (match[1] !== undefined && !isDay(match[1]))) return undefined
  return new TomlDate(word.replace(/[t ]/, 'T').replace('z', 'Z'))
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`) // turns February 29 into March 1 in years without it
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/**
 * A float that a JavaScript number cannot represent: `1.0` would be written as the integer `1`, and JSON has no `inf` and no
 * `nan`. All other floats are plain numbers.
 */
export class TomlFloat {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
  /** The text in TOML: `1.0`, `-0.0`, `-inf`. */
  toString(): string {
    if (Number.isNaN(this.value)) return 'nan'
    if (!Number.isFinite(this.value)) return this.value < 0 ? '-inf' : 'inf'
    const digits = Object.is(this.value, -0) ? '-0' : String(this.value)
    return /[.e]/.test(digits) ? digits : `${digits}.0`
  }
  toJSON(): number | string {
    return Number.isFinite(this.value) ? this.value : this.toString()
  }
}
