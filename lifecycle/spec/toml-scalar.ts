import { TomlDate, TomlFloat } from './toml-values.ts'

/** Numbers, booleans and dates: the values that are one word without quotes (TOML 1.0). */

const integer = /^[+-]?(?:0|[1-9](?:_?\d)*)$/
const based = /^0(?:x[0-9a-fA-F](?:_?[0-9a-fA-F])*|o[0-7](?:_?[0-7])*|b[01](?:_?[01])*)$/
const float = /^[+-]?(?:0|[1-9](?:_?\d)*)(?:\.\d(?:_?\d)*)?(?:[eE][+-]?\d(?:_?\d)*)?$/
const special = /^[+-]?(?:inf|nan)$/
const date = /^(\d{4})-(\d\d)-(\d\d)/
const time = /^(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?/
const offset = /^(?:[Zz]|[+-](\d\d):(\d\d))$/

/** The value of a word, or what is wrong with it, in words that never quote it. */
export type Scalar = { readonly value: boolean | number | TomlFloat | TomlDate } | { readonly problem: string }

/** Longer words are nobody's number, and would cost the regular expressions their stack. */
const maxWord = 1000

export function parseScalar(word: string): Scalar {
  if (word.length > maxWord) return { problem: `a word of more than ${maxWord} characters` }
  if (word === 'true' || word === 'false') return { value: word === 'true' }
  if (integer.test(word) || based.test(word)) return parseInteger(word.replaceAll('_', ''))
  if (float.test(word)) return parseFloatWord(word.replaceAll('_', ''))
  if (special.test(word)) return { value: new TomlFloat(specialValue(word)) }
  return isDateOrTime(word)
    ? { value: new TomlDate(word.replace(/^(\d{4}-\d\d-\d\d)[t ]/, '$1T').replace(/z$/, 'Z')) }
    : { problem: 'expected a value: a string in quotes, a number, true, false, a date, [ or {' }
}

function parseInteger(digits: string): Scalar {
  const value = Number(digits)
  // Beyond 2^53 a JavaScript number is another number than the document's: refuse rather than change a buildpack's data.
  if (!Number.isSafeInteger(value)) return { problem: 'an integer is beyond ±(2^53 - 1); write it as a string' }
  return { value: value === 0 ? 0 : value }
}

function parseFloatWord(digits: string): Scalar {
  const value = Number(digits)
  if (!Number.isFinite(value)) return { problem: 'a number is too large for a 64-bit float' }
  return { value: Number.isInteger(value) ? new TomlFloat(value) : value }
}

function specialValue(word: string): number {
  if (word.endsWith('nan')) return NaN
  return word.startsWith('-') ? -Infinity : Infinity
}

function isDateOrTime(word: string): boolean {
  const day = date.exec(word)
  let rest = word
  if (day) {
    const [all, y, m, d] = day as unknown as [string, string, string, string]
    if (!isDay(Number(y), Number(m), Number(d))) return false
    if (all.length === word.length) return true
    if (!/[Tt ]/.test(word.charAt(all.length))) return false
    rest = word.slice(all.length + 1)
  }
  const clock = time.exec(rest)
  if (!clock || Number(clock[1]) > 23 || Number(clock[2]) > 59 || Number(clock[3] ?? 0) > 60) return false
  rest = rest.slice(clock[0].length)
  if (rest === '') return true
  const zone = offset.exec(rest)
  return day !== null && zone !== null && Number(zone[1] ?? 0) <= 23 && Number(zone[2] ?? 0) <= 59
}

function isDay(year: number, month: number, day: number): boolean {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  return day >= 1 && day <= (days[month - 1] ?? 0)
}
