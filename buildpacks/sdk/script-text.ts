type Opening = '' | "'" | '"' | '`' | '//' | '/*'

/** The marks that open or close something, by what is open. A regular expression stands where a value may stand, and opens nothing. */
const marks: Readonly<Record<Opening, RegExp>> = {
  '': /\\[^]|['"`]|\/[/*]|(?<=(?:[(,=:[!&|?{};+\n]|=>|\breturn)\s{0,2})\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//g,
  "'": /\\[^]|['\n]/g,
  '"': /\\[^]|["\n]/g,
  '`': /\\[^]|`/g,
  '//': /(?=\n)|$/g,
  '/*': /\*\//g,
}

/** A script in JavaScript or TypeScript with a blank in place of each comment. */
export function withoutComments(script: string): string {
  return without(script, ['//', '/*'])
}

/** The same, with a blank also in place of each template literal, which may contain a generated script. */
export function withoutCommentsAndTemplates(script: string): string {
  return without(script, ['//', '/*', '`'])
}

/** Only the code: a blank also in place of each string and regular expression, so that every bracket is one of the code. */
export function withoutTexts(script: string): string {
  return without(script, ['//', '/*', '`', "'", '"', 'RegExp'])
}

function without(script: string, unwanted: readonly (Opening | 'RegExp')[]): string {
  let rest = ''
  let kept = 0
  let open: Opening = ''
  let start = 0
  for (let at = 0; ;) {
    marks[open].lastIndex = at
    const mark = marks[open].exec(script)
    // An opening mark that nothing closes does not count.
    if (mark === null) return rest + script.slice(kept)
    at = mark.index + mark[0].length
    if (mark[0].startsWith('\\')) continue
    if (open === '') {
      if (!isOpening(mark[0])) {
        if (!unwanted.includes('RegExp')) continue
        rest += `${script.slice(kept, mark.index)} `
        kept = at
        continue
      }
      open = mark[0]
      start = mark.index
      continue
    }
    if (unwanted.includes(open)) {
      rest += `${script.slice(kept, start)} `
      kept = at
    }
    open = ''
  }
}

const isOpening = (text: string): text is Exclude<Opening, ''> => Object.hasOwn(marks, text)
