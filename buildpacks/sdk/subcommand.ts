import type { Log } from './log.ts'

/** What a program does without arguments, as far as its sources show. */
export type Subcommand =
  /** It starts a server, or nothing is known. */
  | { readonly state: 'none' }
  /** It prints its help, and has one command that starts a server without further arguments. */
  | { readonly state: 'serves'; readonly name: string; readonly where: string }
  /** It prints its help, and the right command is not known. */
  | { readonly state: 'unclear'; readonly where: string }

export const noSubcommand: Subcommand = { state: 'none' }

/** Names of commands that start a server, in the spelling of the languages: `serve`, `Serve`. */
export const isServeName = (name: string): boolean => /^serve[r]?$/i.test(name)

/**
 * Prints which command of a program starts it, or warns that the user has to name one.
 * @param program the command line without the command
 * @param declared whether a Procfile or a setting declares the start
 * @returns the arguments to start the program with
 */
export function subcommandArguments(log: Log, found: Subcommand, program: string, declared: boolean): string[] {
  if (found.state === 'none' || declared) return []
  if (found.state === 'serves') {
    log.info(
      `Its command ${found.name} is the start, because without a command it only prints its help (${found.where})`,
    )
    return [found.name]
  }
  log.warning(
    `the program has commands, and without one it only prints its help (${found.where})`,
    `Write the start command into a Procfile, such as "web: ${program} serve".`,
  )
  return []
}

const pairs: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' }

/**
 * The index of the closing bracket, in languages with the strings and comments of C or Go; the source's length if it is missing.
 * @param open the index of the opening bracket
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

/** The text between a bracket and its closing bracket. */
export const inBrackets = (source: string, open: number): string => source.slice(open + 1, closingBracket(source, open))
