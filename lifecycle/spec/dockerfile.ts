import { BaleError } from '../errors.ts'

/** One instruction, with its continued lines joined and comments left out. */
export interface Instruction {
  /** In capitals. */
  readonly name: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/**
 * Splits a Dockerfile into its instructions. Knows the directive `escape`, comments and continued lines.
 * @throws BaleError 'input' for a line that is no instruction, and for here-documents
 */
export function parseDockerfile(text: string, where: string): Instruction[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const escape = escapeOf(lines)
  const instructions: Instruction[] = []
  for (let i = 0; i < lines.length; i++) {
    if (isIdle(lines[i] as string)) continue
    const start = i
    let joined = ''
    let isOpen = true
    for (; isOpen && i < lines.length; i++) {
      const line = lines[i] as string
      if (isIdle(line)) continue
      const trimmed = line.trimEnd()
      isOpen = trimmed.endsWith(escape)
      joined += isOpen ? trimmed.slice(0, -1) : trimmed
    }
    i--
    const [, name = '', value = ''] = /^\s*([A-Za-z]+)(?:\s+([\s\S]*))?$/.exec(joined) ?? []
    if (name === '') throw wrong(where, start + 1, 'it is no instruction')
    if (/(?:^|\s)<<-?["']?[A-Za-z_]/.test(value) && ['RUN', 'COPY', 'ADD'].includes(name.toUpperCase()))
      throw wrong(where, start + 1, 'here-documents are not supported')
    instructions.push({ name: name.toUpperCase(), value: value.trim(), line: start + 1 })
  }
  return instructions
}

const isIdle = (line: string): boolean => /^\s*(?:#|$)/.test(line)

const wrong = (where: string, line: number, message: string, fix?: string): BaleError =>
  new BaleError('input', message, { where: `${where}:${line}`, ...(fix !== undefined && { fix }) })

/** Parser directives are comments before anything else. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = /^\s*#\s*(\w+)\s*=\s*(\S+)\s*$/.exec(line) ?? []
    if (name === undefined) return '\\'
    if (name.toLowerCase() === 'escape' && value === '`') return '`'
  }
  return '\\'
}

/** Replaces `$name`, `${name}`, `${name:-default}` and `${name:+alternative}`. A backslash before `$` keeps it. */
export function expandVariables(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\\(\$)|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_, kept: string | undefined, plain?: string, braced?: string, operator?: string, word = '') => {
      if (kept !== undefined) return kept
      const value = variables.get(plain ?? (braced as string)) ?? ''
      if (operator === '-') return value === '' ? (word as string) : value
      if (operator === '+') return value === '' ? '' : (word as string)
      return value
    },
  )
}

const baseImage = '${base_image}'
/** Instructions of Dockerfiles that image extensions write (image_extension.md, "Dockerfile Requirements"). */
const permitted = ['FROM', 'ADD', 'ARG', 'COPY', 'ENV', 'LABEL', 'RUN', 'SHELL', 'USER', 'WORKDIR']

/** What a run.Dockerfile does with the run image. */
export interface RunDockerfile {
  /** The image that takes the run image's place; undefined if the Dockerfile is on top of it. */
  readonly image: string | undefined
  /** It has instructions that make layers or change the config. */
  readonly extends: boolean
  /** Instructions that extensions should not use. */
  readonly unusual: readonly string[]
}

/** @throws BaleError 'input' unless it has one FROM, after nothing but ARG */
export function readRunDockerfile(text: string, where: string): RunDockerfile {
  const instructions = parseDockerfile(text, where)
  const from = onlyFrom(instructions, where)
  const variables = new Map([['base_image', baseImage]])
  for (const { value } of instructions.filter(({ name, line }) => name === 'ARG' && line < from.line)) {
    const [, name = '', fallback] = /^(\w+)(?:=["']?(.*?)["']?)?$/.exec(value) ?? []
    if (fallback !== undefined && name !== 'base_image') variables.set(name, expandVariables(fallback, variables))
  }
  const image = expandVariables(imageOf(from, where), variables)
  if (image === '') throw wrong(where, from.line, `FROM ${from.value} names no image`)
  return {
    image: image === baseImage ? undefined : image,
    extends: instructions.some(({ name }) => name !== 'FROM' && name !== 'ARG'),
    unusual: unusualOf(instructions),
  }
}

/**
 * @returns instructions that extensions should not use
 * @throws BaleError 'input' unless it begins with `ARG base_image` and `FROM ${base_image}`, and has no other FROM
 */
export function checkBuildDockerfile(text: string, where: string): readonly string[] {
  const instructions = parseDockerfile(text, where)
  const from = onlyFrom(instructions, where)
  const [argument, second] = instructions
  const begins = argument?.name === 'ARG' && /^base_image(?:=|$)/.test(argument.value) && second === from
  if (!begins || !/^\$(?:base_image|\{base_image\})$/.test(imageOf(from, where)))
    throw wrong(
      where,
      from.line,
      'it does not begin with ARG base_image and FROM ${base_image}',
      'only a run.Dockerfile may name another image',
    )
  return unusualOf(instructions)
}

function onlyFrom(instructions: readonly Instruction[], where: string): Instruction {
  const [from, second] = instructions.filter(({ name }) => name === 'FROM')
  if (from === undefined) throw wrong(where, 1, 'it has no FROM', 'begin with ARG base_image and FROM ${base_image}')
  if (second !== undefined)
    throw wrong(where, second.line, 'it has a second FROM', 'a Dockerfile of an image extension has one stage')
  const early = instructions.find(({ name, line }) => line < from.line && name !== 'ARG')
  if (early !== undefined) throw wrong(where, early.line, `${early.name} comes before FROM`)
  return from
}

/** Without `--platform` and `AS name`. */
function imageOf(from: Instruction, where: string): string {
  const words = from.value.split(/\s+/).filter(word => word !== '' && !word.startsWith('--'))
  if (words[0] === undefined) throw wrong(where, from.line, 'FROM names no image')
  return words[0]
}

const unusualOf = (instructions: readonly Instruction[]): string[] => [
  ...new Set(instructions.map(({ name }) => name).filter(name => !permitted.includes(name))),
]
