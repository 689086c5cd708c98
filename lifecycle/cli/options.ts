import { type Command, Option } from 'commander'
import type { CommandContext, GlobalOptions } from './context.ts'
import { outputFormats } from './output-format.ts'

// Helpers for the definitions of commands.

/** The action of a command. A number is its exit status. */
export type Action = (context: CommandContext) => Promise<number | void>

/** Runs an action with a context for these options. */
export type Run = (globals: GlobalOptions, action: Action, statusOf?: (error: unknown) => number) => Promise<void>

/** The examples at the end of a help text. */
export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map(line => `  $ ${line}`).join('\n')}\n`

/** For an option that may be repeated. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** The same, where a value may be a list separated by commas. No image name contains a comma. */
export const collectList = (value: string, before: string[] = []): string[] => [
  ...before,
  ...value.split(',').map(part => part.trim()),
]

export const withOutput = (command: Command): Command =>
  command
    .addOption(new Option('-q, --quiet', 'print warnings and the result only').conflicts('verbose'))
    .option('-v, --verbose', 'print more: the output of every buildpack, and the causes of failures')
    .option('--no-color', 'print without colours, as the variable NO_COLOR does')

/** `human-readable`, as pack names the format for people, is `human`. */
export function outputOption(): Option {
  const text = 'the output format: for people or for programs'
  const option = new Option('-o, --output <format>', text).choices(outputFormats).default('human')
  const { parseArg } = option
  return option.argParser((value: string, before: unknown) =>
    parseArg?.(value === 'human-readable' ? 'human' : value, before),
  )
}
