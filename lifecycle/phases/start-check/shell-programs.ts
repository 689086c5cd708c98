/** A program that a command line starts. */
export interface ShellProgram {
  readonly program: string
  /** Whether the working directory has changed, so that a relative path cannot be looked up. */
  readonly moved: boolean
}

/** A word of a command line; `dynamic` if the shell makes it, wholly or in part, from a variable, a command or a pattern. */
interface Word {
  readonly text: string
  readonly dynamic: boolean
}

type Token = { readonly word: Word } | { readonly operator: string }

/** Words that start a compound command or change the meaning of later words. Parsing stops there. */
const syntax = new Set([
  ...['if', 'for', 'while', 'until', 'case', 'select', 'function', '{', '[[', '!', 'time', 'coproc'],
  ...['.', 'source', 'eval', 'alias', 'exit', 'return', 'shopt', 'enable', 'hash', 'trap'],
])

/** Builtins of bash that do not affect the rest of the command line. */
const builtins = new Set([
  ...[
    ':',
    'cd',
    'declare',
    'echo',
    'export',
    'false',
    'kill',
    'local',
    'mkdir',
    'printf',
    'pwd',
    'read',
    'readonly',
    'set',
  ],
  ...[
    'test',
    '[',
    'true',
    'type',
    'ulimit',
    'umask',
    'unset',
    'wait',
    'jobs',
    'fg',
    'bg',
    'command',
    'builtin',
    'pushd',
    'popd',
  ],
])

/** Programs that start the one named by their first word. */
const wrappers = new Set(['exec', 'env', 'nohup', 'setsid', 'command'])

/** Programs that install no others, so later programs must already exist. */
const harmless = /^(python[\d.]*|node|cat|chmod|cp|date|envsubst|head|ln|mkdir|mv|rm|sed|sleep|tail|tee|touch)$/

/**
 * The programs that a command line for bash is certain to start, in order. At the first uncertain part (an alternative, a variable
 * in place of a program, a program that may install the next one), the list ends.
 */
export function certainPrograms(script: string): ShellProgram[] {
  const found: ShellProgram[] = []
  const tokens = tokensOf(script)
  let moved = false
  for (let at = 0; at < tokens.length;) {
    const end = tokens.findIndex((token, index) => index >= at && 'operator' in token && isEnd(token.operator))
    const command = tokens.slice(at, end < 0 ? undefined : end)
    const next = end < 0 ? undefined : (tokens[end] as { operator: string }).operator
    const words = wordsOf(command)
    // An alternative may replace a missing program.
    if (words === undefined || next === '||' || next === 'unknown') break
    const program = programOf(words)
    if (program === undefined) break
    if (program !== '') {
      if (builtins.has(program)) moved ||= ['cd', 'pushd', 'popd'].includes(program)
      else {
        found.push({ program, moved })
        if (!harmless.test(program) || words.some(({ text }) => /\bpip\b|install/.test(text))) break
      }
    }
    if (end < 0) break
    at = end + 1
  }
  return found
}

const isEnd = (operator: string): boolean => ['&&', '||', ';', '|', '&', '\n', 'unknown'].includes(operator)

/** The words of a simple command without its redirections; undefined if it is none. */
function wordsOf(tokens: readonly Token[]): Word[] | undefined {
  const words: Word[] = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if ('word' in token) words.push(token.word)
    else if (/^\d*(>|>>|<|>&|<&|>\|)$/.test(token.operator)) at++
    else return undefined
  }
  return words
}

/** The program of a simple command; '' if it only sets variables, undefined if unknown. */
function programOf(words: readonly Word[]): string | undefined {
  let rest = [...words]
  for (;;) {
    while (rest[0] && /^[A-Za-z_]\w*\+?=/.test(rest[0].text)) {
      // The command changes where the shell looks for programs.
      if (/^(PATH|BASH_ENV)\+?=/.test(rest[0].text)) return undefined
      rest = rest.slice(1)
    }
    const [first, second] = rest
    if (first === undefined) return ''
    if (first.dynamic || syntax.has(first.text)) return undefined
    if (['export', 'declare'].includes(first.text) && rest.some(({ text }) => text.startsWith('PATH=')))
      return undefined
    if (!wrappers.has(first.text) || second === undefined) return first.text
    if (second.text.startsWith('-')) return undefined
    rest = rest.slice(1)
  }
}

/** Cuts a command line into words and operators. Anything beyond this grammar becomes the operator `unknown`, which ends the list. */
function tokensOf(script: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < script.length) {
    const rest = script.slice(at)
    const space = /^(?:[ \t]|\\\n)+|^#[^\n]*/.exec(rest)?.[0]
    if (space !== undefined) {
      at += space.length
      continue
    }
    const operator = /^(?:&&|\|\||\d*(?:<<|>>|[<>]&|>\||[<>])|[;|&\n()])/.exec(rest)?.[0]
    if (operator !== undefined) {
      if (/[()]|<<|\|&/.test(operator) || rest.startsWith('&>')) return [...tokens, { operator: 'unknown' }]
      tokens.push({ operator })
      at += operator.length
      continue
    }
    const word = readWord(rest)
    if (word === undefined) return [...tokens, { operator: 'unknown' }]
    tokens.push({ word: { text: word.text, dynamic: word.dynamic } })
    at += word.length
  }
  return tokens
}

/** The word at the start of `text`, without its quotes; undefined if a quote or a bracket is not closed. */
function readWord(text: string): (Word & { readonly length: number }) | undefined {
  let value = ''
  let dynamic = false
  let at = 0
  while (at < text.length && !/[\s;|&()<>]/.test(text[at] as string)) {
    const part =
      /^'([^']*)'|^"((?:[^"\\]|\\[^])*)"|^\\([^])|^([^\s'"\\;|&()<>$`]+)/.exec(text.slice(at)) ??
      expansion(text.slice(at))
    if (part === undefined) return undefined
    if (typeof part === 'number') {
      dynamic = true
      at += part
      continue
    }
    const [whole, single, double, escaped, plain] = part
    if (double !== undefined && /[$`]/.test(double)) dynamic = true
    if (plain !== undefined && /[*?[{~]/.test(plain)) dynamic = true
    value += single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? ''
    at += whole.length
  }
  return { text: value, dynamic, length: at }
}

/** The length of a variable or a command substitution; undefined if it is not closed. */
function expansion(text: string): number | undefined {
  const simple = /^\$(?:\w+|[@*#?$!-]|\{[^{}]*\}|(?=["']))|^`[^`]*`/.exec(text)?.[0]
  if (simple !== undefined) return simple.length
  if (!text.startsWith('$(')) return text.startsWith('$') ? 1 : undefined
  let depth = 0
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth === 0) return at + 1
  }
  return undefined
}
