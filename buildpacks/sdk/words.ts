import { BuildpackError } from './errors.ts'

/** The words of a command line, with shell quotes but no other shell syntax. */
export function splitWords(text: string, where: string): string[] {
  const words: string[] = []
  const pattern = /\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)/gy
  let end = 0
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length
    words.push((match[1] ?? '').replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, unquote))
  }
  if (text.slice(end).trim() === '') return words
  throw new BuildpackError('a quote is not closed', {
    where,
    fix: 'write for example: --flag "two words"',
  })
}

function unquote(
  _: string,
  double: string | undefined,
  single: string | undefined,
  escaped: string | undefined,
): string {
  return double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? escaped ?? ''
}

/** A regular expression that matches only `text`. */
export function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}
