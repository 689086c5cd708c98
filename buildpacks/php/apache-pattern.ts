import { escapeRegExp } from '../sdk/index.ts'

/** What JavaScript understands in another way than PCRE: classes of characters, named groups, lookbehinds of any length. */
const different = /\\[ucpPk]|\[\^?\]|\(\?<(?![=!])|\(\?<[=!](?![^()*+?{|]*\))/
/** nginx takes no longer words. */
const longest = 2000

/**
 * An expression of PCRE as one of JavaScript.
 * @returns undefined if it may mean something else to JavaScript, or has a character that a configuration cannot hold
 */
export function expressionOf(pattern: string): RegExp | undefined {
  if (pattern.length > longest || /[\x00-\x1f\x7f]/.test(pattern) || different.test(pattern)) return undefined
  const [, ignoresCase, text = ''] = /^(\(\?i\))?(.*)$/s.exec(pattern) ?? []
  // PCRE takes a backslash before each sign; JavaScript takes one before a sign with a meaning.
  const escaped = text
    .replaceAll(/\\(.)/gs, (both, sign: string) =>
      sign === '-' ? '\\x2d' : /[\w^$\\.*+?()[\]{}|/]/.test(sign) ? both : sign,
    )
    // Node.js 20 has no flags in groups.
    .replaceAll(/\(\?i:([\w|]*)\)/g, (_, words: string) => {
      const either = words.replaceAll(/[a-z]/gi, letter => `[${letter.toLowerCase()}${letter.toUpperCase()}]`)
      return `(?:${either})`
    })
  try {
    return new RegExp(escaped, ignoresCase === undefined ? 'u' : 'iu')
  } catch {
    return undefined
  }
}

/** The expression of PCRE for a pattern with `*`, `?` and `[a-z]`. */
export function globExpression(pattern: string): string {
  const body = pattern.replaceAll(
    /\[([!^]?)(\]?[^\]]*)\]|\\(.)|[^]/g,
    (sign, not?: string, set?: string, literal?: string) => {
      if (set !== undefined) return `[${not === '' ? '' : '^'}${set.replaceAll(/[\\\]^[]/g, '\\$&')}]`
      if (literal !== undefined) return escapeRegExp(literal)
      return sign === '*' ? '.*' : sign === '?' ? '.' : escapeRegExp(sign)
    },
  )
  return `^${body}$`
}
