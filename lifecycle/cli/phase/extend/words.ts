import { expandVariables } from '../../../spec/dockerfile.ts'

/** A part of a word. Text in single quotes or after a backslash is literal; variables are replaced in all other text. */
export interface WordPart {
  readonly text: string
  readonly isLiteral: boolean
}
export type Word = readonly WordPart[]

/**
 * Splits at blanks outside of quotes, and removes quotes and backslashes as a shell does (docs.docker.com, "Environment replacement").
 * @returns undefined for an unclosed quote
 */
export const splitWords = (text: string): Word[] | undefined => read(text, /\s/)

/** The same for a text that is one word, including its blanks. */
export function wholeWord(text: string): Word | undefined {
  const words = read(text)
  return words && (words[0] ?? [])
}

function read(text: string, separator?: RegExp): Word[] | undefined {
  const words: Word[] = []
  let word: { text: string; isLiteral: boolean }[] | undefined
  let quote = ''
  const add = (char: string, isLiteral: boolean): void => {
    word ??= []
    const last = word.at(-1)
    if (last?.isLiteral === isLiteral) last.text += char
    else word.push({ text: char, isLiteral })
  }
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    const next = text[i + 1]
    if (quote === '' && separator?.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) {
      quote = char
      word ??= []
    } else if (char === '\\' && next !== undefined && (quote === '' || (quote === '"' && /["$\\]/.test(next)))) {
      add(next, true)
      i++
    } else add(char, quote === "'")
  }
  if (word !== undefined) words.push(word)
  return quote === '' ? words : undefined
}

/** The text of a word without quotes; variables are not replaced. */
export const plainOf = (word: Word): string => word.map(({ text }) => text).join('')

/** Replaces variables with their values, or nothing if unset. Returns undefined for an unsupported use of `$`. */
export function expandWord(word: Word, variables: ReadonlyMap<string, string>): string | undefined {
  let expanded = ''
  for (const { text, isLiteral } of word) {
    const unset = [...text.matchAll(/\$(?:\{(\w+)\}|(\w+))/g)].map(([, braced, plain]): [string, string] => [
      braced ?? (plain as string),
      '',
    ])
    const value = isLiteral ? text : expandVariables(text, new Map([...unset, ...variables]))
    if (value === undefined) return undefined
    expanded += value
  }
  return expanded
}
