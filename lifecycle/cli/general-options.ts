import { type Command, Option } from 'commander'

/** pack has these options in every command. */
const everywhere = [
  ['-q', '--quiet'],
  ['-v', '--verbose'],
  [undefined, '--no-color'],
  [undefined, '--force-color'],
  [undefined, '--timestamps'],
] as const

/** Adds pack's general options to a command that lacks them. `bale run` has its own `-v`. */
export function withGeneral(command: Command): Command {
  const has = (flag: string | undefined): boolean =>
    command.options.some(({ short, long }) => flag !== undefined && (short === flag || long === flag))
  for (const [short, long] of everywhere) {
    if (has(long)) continue
    const flags = short === undefined || has(short) ? long : `${short}, ${long}`
    const option = new Option(flags, long === '--force-color' ? 'print colours even to a file' : undefined).hideHelp()
    command.addOption(long === '--force-color' ? option.conflicts('color') : option)
  }
  return command
}
