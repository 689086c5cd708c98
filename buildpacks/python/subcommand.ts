import { isServeName, noSubcommand, type Subcommand } from '../sdk/index.ts'
import { inBrackets } from '../sdk/subcommand.ts'

/**
 * What a file with a Typer or Click program does without arguments: if it has more than one command, it prints its help, and a command
 * `serve` or `server` without required arguments is the start.
 * @param file its name, for users
 */
export function commandOfFile(file: string, text: string): Subcommand {
  const source = text.replaceAll(/^\s*#.*$/gm, '')
  const typer = /^(\w+)\s*=\s*(?:typer\.)?Typer\(/m.exec(source)
  const click = typer ?? /@click\.group\([^]*?\)\s*(?:@.*\s*)*def\s+(\w+)\(/.exec(source)
  const name = click?.[1]
  if (click === null || name === undefined || !new RegExp(`^\\s+(?:sys\\.exit\\()?${name}\\(`, 'm').test(source))
    return noSubcommand
  if (/\binvoke_without_command\s*=\s*True|\bno_args_is_help\s*=\s*False|\bsys\.argv\b/.test(source))
    return noSubcommand
  const commands = commandsOf(source, name)
  const isGroup = typer === null || new RegExp(`@${name}\\.callback\\(|\\b${name}\\.add_typer\\(`).test(source)
  // A Typer program with one command runs that command.
  if (!isGroup && commands.length < 2) return noSubcommand
  const line = source.slice(0, click.index).split('\n').length
  const [serve, ...others] = commands.filter(command => isServeName(command.name))
  if (serve === undefined || others.length > 0 || serve.needsMore) return { state: 'unclear', where: `${file}:${line}` }
  return { state: 'serves', name: serve.name, where: `${file}:${serve.line}` }
}

function commandsOf(source: string, group: string) {
  const found = source.matchAll(
    new RegExp(`^@${group}\\.command\\(([^\\n]*)\\)\\s*\\n((?:@[^]*?\\n)?)(?:async\\s+)?def\\s+(\\w+)\\(`, 'gm'),
  )
  return Array.from(found, ({ 0: all, 1: given = '', 2: decorators = '', 3: defined = '', index }) => ({
    name: /^\s*(?:name\s*=\s*)?["']([\w-]+)["']/.exec(given)?.[1] ?? defined.replaceAll('_', '-'),
    line: source.slice(0, index).split('\n').length,
    needsMore: needsMore(decorators, inBrackets(source, index + all.length - 1)),
  }))
}

/** Whether a command has an argument without a default, by Click's decorators or Typer's parameters. */
function needsMore(decorators: string, parameters: string): boolean {
  if (/@click\.\w+\(/.test(decorators)) {
    return /\brequired\s*=\s*True|\bprompt\s*=|@click\.argument\((?![^)]*\b(?:default|required)\s*=)/.test(decorators)
  }
  if (/\b(?:Option|Argument)\(\s*\.\.\./.test(parameters)) return true
  // Commas in brackets belong to types.
  let flat = parameters
  for (let before = ''; before !== flat;) {
    before = flat
    flat = flat.replaceAll(/\[[^[\]]*\]|\([^()]*\)/g, '')
  }
  const isGiven = (part: string) =>
    part.includes('=') || /^\s*(?:$|\*|\w+\s*:\s*(?:typer\.|click\.)?Context\s*$)/.test(part)
  return !flat.split(',').every(isGiven)
}
