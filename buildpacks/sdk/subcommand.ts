import type { Log } from './log.ts'

/** What a program without arguments does, as far as its sources say. */
export type Subcommand =
  /** It starts, or nothing is known. */
  | { readonly state: 'none' }
  /** It prints its help, and has one command that starts a server and needs nothing more. */
  | { readonly state: 'serves'; readonly name: string; readonly where: string }
  /** It prints its help, and which command is meant is not known. */
  | { readonly state: 'unclear'; readonly where: string }

export const noSubcommand: Subcommand = { state: 'none' }

/** Names of commands that start a server, in the languages' own spelling: `serve`, `Serve`. */
export const isServeName = (name: string): boolean => /^serve[r]?$/i.test(name)

/**
 * Says which command of a program starts, or that somebody has to say it.
 * @param program the command line without the command
 * @param declared whether a Procfile or a setting says what starts
 * @returns the arguments to start it with
 */
export function subcommandArguments(log: Log, found: Subcommand, program: string, declared: boolean): string[] {
  if (found.state === 'none' || declared) return []
  if (found.state === 'serves') {
    log.info(`Its command ${found.name} is the start, for without one it prints its help (${found.where})`)
    return [found.name]
  }
  log.warning(
    `the program has commands, and ends with its help where none is given (${found.where})`,
    `Name the one that starts in a Procfile, such as "web: ${program} serve".`,
  )
  return []
}

const pairs: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' }

/**
 * The end of what a bracket opens, in languages with the strings and comments of C or Go; the source's length if it is not closed.
 * @param open where the bracket is
 */
export function closingBracket(source: string, open: number): number {
  const tokens = /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)'|[{}()[\]]/g
  tokens.lastIndex = open
  const expected: string[] = []
  for (const { 0: token, index } of source.matchAll(tokens)) {
    const closing = pairs[token]
    if (closing !== undefined) expected.push(closing)
    else if (token === expected.at(-1) && expected.pop() !== undefined && expected.length === 0) return index
  }
  return source.length
}

/** What is between a bracket and the one that closes it. */
export const inBrackets = (source: string, open: number): string => source.slice(open + 1, closingBracket(source, open))
