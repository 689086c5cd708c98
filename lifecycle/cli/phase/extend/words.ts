/** Splits at blanks outside of quotes, and takes quotes and backslashes away as Docker does: `a="b c" d` is `a=b c` and `d`. */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) {
      quote = char
      word ??= ''
    } else if (char === '\\' && quote !== "'" && i + 1 < text.length) {
      const next = text[++i] as string
      // A dollar stays escaped: it is no variable's.
      word = (word ?? '') + (next === '$' ? '\\$' : next)
    } else word = (word ?? '') + (quote === "'" && char === '$' ? '\\$' : char)
  }
  if (word !== undefined) words.push(word)
  return words
}
