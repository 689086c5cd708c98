import type { EventEmitter } from 'node:events'
import type { Command } from 'commander'
import { baleVersion } from '../version.ts'

/** A page of section 1 of the manual: man-pages(7). */
export interface ManPage {
  /** `bale-build.1` */
  readonly file: string
  /** roff with the macros of man(7). */
  readonly text: string
}

/** Writes a page for each command from the definitions of its help. A page has the same content as `--help`. */
export function writeManPages(program: Command): ManPage[] {
  return [...commandsOf(program, [])].map(({ command, words }) => ({
    file: `${words.join('-')}.1`,
    text: pageOf(command, words),
  }))
}

interface Named {
  readonly command: Command
  /** The words of the command line: `bale`, `image`, `ls`. */
  readonly words: readonly string[]
}

function* commandsOf(command: Command, before: readonly string[]): Generator<Named> {
  const words = [...before, command.name()]
  yield { command, words }
  for (const child of command.createHelp().visibleCommands(command))
    if (child.name() !== 'help') yield* commandsOf(child, words)
}

function pageOf(command: Command, words: readonly string[]): string {
  const help = command.createHelp()
  const name = words.join('-')
  const usage = help.commandUsage(command).slice(words.join(' ').length)
  const children = help.visibleCommands(command).filter(child => child.name() !== 'help')
  const related = [...words.slice(1).map((_, n) => words.slice(0, n + 1)), ...children.map(c => [...words, c.name()])]
  return [
    `.TH ${[name.toUpperCase(), '1', '', `bale ${baleVersion}`, 'Bale'].map(quoted).join(' ')}`,
    '.nh', // a hyphenated word cannot be searched for
    '.SH NAME',
    `${roff(name)} \\- ${roff(withoutStop(summaryOf(command)))}`,
    '.SH SYNOPSIS',
    `.B ${roff(words.join(' '))}`,
    roff(usage.trim()),
    '.SH DESCRIPTION',
    roff(command.description()),
    ...section('ARGUMENTS', help.visibleArguments(command), argument => [
      help.argumentTerm(argument),
      help.argumentDescription(argument),
    ]),
    ...section('OPTIONS', help.visibleOptions(command), option => [
      help.optionTerm(option),
      help.optionDescription(option),
    ]),
    ...section('COMMANDS', children, child => [help.subcommandTerm(child), help.subcommandDescription(child)]),
    ...examplesOf(command),
    ...(related.length === 0
      ? []
      : ['.SH SEE ALSO', related.map(page => `.BR ${roff(page.join('-'))} (1)`).join(',\n')]),
    '',
  ].join('\n')
}

function section<Item>(title: string, items: readonly Item[], describe: (item: Item) => readonly [string, string]) {
  const entries = items.map(describe).flatMap(([term, text]) => ['.TP', `.B ${roff(term)}`, roff(text)])
  return entries.length === 0 ? [] : [`.SH ${title}`, ...entries]
}

/** The text below the options in the help. commander keeps it in listeners of an event, which its types do not show. */
function examplesOf(command: Command): string[] {
  let text = ''
  ;(command as Command & Pick<EventEmitter, 'emit'>).emit('afterHelp', {
    error: false,
    command,
    write: (more: string) => (text += more),
  })
  const lines = text.split('\n').filter(line => line.trim() !== '')
  if (lines.length === 0) return []
  const [heading = '', ...examples] = lines
  return [`.SH ${roff(heading.replace(/:$/, '').toUpperCase())}`, '.nf', ...examples.map(line => roff(line)), '.fi']
}

/** The first sentence of the description. */
function summaryOf(command: Command): string {
  return (/^.*?(?=[.:](\s|$))/.exec(command.description())?.[0] ?? command.description()).trim()
}

const withoutStop = (text: string): string => text.replace(/\.$/, '')

const quoted = (text: string): string => `"${roff(text)}"`

/** Escapes text for roff: hyphens stay copyable, and no line begins like a roff request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll('…', '...')
    .replace(/^(?=[.'])/gm, '\\&')
}
