import { BaleError } from '../errors.ts'

/** One instruction, with its continued lines joined and comments left out. */
export interface Instruction {
  /** In capitals. */
  readonly name: string
  /** Without the bodies of here-documents. */
  readonly value: string
  /** From 1. */
  readonly line: number
  readonly hasDocument: boolean
}

/**
 * Splits a Dockerfile into its instructions. Supports the directive `escape`, comments, continued lines and here-documents.
 * @throws BaleError 'input' for a line that is not an instruction, and for a here-document without an end
 */
export function parseDockerfile(text: string, where: string): Instruction[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const continued = escapeOf(lines) === '`' ? /(?:^|[^`])`[ \t]*$/ : /(?:^|[^\\])\\[ \t]*$/
  const instructions: Instruction[] = []
  for (let i = 0; i < lines.length; i++) {
    if (isIdle(lines[i] as string)) continue
    const start = i
    let joined = ''
    let isOpen = true
    for (; isOpen && i < lines.length; i++) {
      const line = lines[i] as string
      if (isIdle(line)) continue
      isOpen = continued.test(line)
      joined += isOpen ? line.trimEnd().slice(0, -1) : line.trimEnd()
    }
    i--
    const [, name = '', value = ''] = /^\s*([A-Za-z]+)(?:\s+([\s\S]*))?$/.exec(joined) ?? []
    if (name === '') throw wrong(where, start + 1, 'it is not an instruction')
    const documents = ['RUN', 'COPY', 'ADD'].includes(name.toUpperCase()) ? hereDocuments(value) : []
    for (const { word, hasTabs } of documents) {
      const end = lines.findIndex((line, at) => at > i && (hasTabs ? line.replace(/^\t+/, '') : line) === word)
      if (end === -1) throw wrong(where, start + 1, `the here-document ${word} is not closed`)
      i = end
    }
    const hasDocument = documents.length > 0
    instructions.push({ name: name.toUpperCase(), value: value.trim(), line: start + 1, hasDocument })
  }
  return instructions
}

/** `<<WORD`, `<<-WORD`, `3<<'WORD'`, outside of quotes. */
function hereDocuments(value: string): { readonly word: string; readonly hasTabs: boolean }[] {
  const bare = value.replaceAll(/(?<!<<-?)(?:"(?:\\.|[^"\\])*"|'[^']*')/g, '')
  return [...bare.matchAll(/(?<![<\w])\d*<<(-?)(["']?)([A-Za-z_]\w*)\2/g)].map(([, tabs, , word]) => ({
    word: word as string,
    hasTabs: tabs === '-',
  }))
}

const isIdle = (line: string): boolean => /^\s*(?:#|$)/.test(line)

const wrong = (where: string, line: number, message: string, fix?: string): BaleError =>
  new BaleError('input', message, { where: `${where}:${line}`, ...(fix !== undefined && { fix }) })

/** Parser directives are comments at the start of the file. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = /^\s*#\s*(\w+)\s*=\s*(\S+)\s*$/.exec(line) ?? []
    if (name === undefined) return '\\'
    if (name.toLowerCase() === 'escape' && value === '`') return '`'
  }
  return '\\'
}

/**
 * Replaces `$name`, `${name}`, `${name:-default}` and `${name:+alternative}`, which may contain variables themselves, and the same without
 * a colon, where an empty value counts as a value. A backslash before `$` keeps it.
 * @returns undefined if a variable is not set, or for an unsupported `${…}`
 */
export function expandVariables(text: string, variables: ReadonlyMap<string, string>): string | undefined {
  let isKnown = true
  const inner = (word: string): string => {
    const value = expandVariables(word, variables)
    isKnown &&= value !== undefined
    return value ?? ''
  }
  const expanded = text.replaceAll(
    /\\\$|\$(?:(\w+)|\{(?:(\w+)(?:(:?)([-+])((?:[^{}$]|\$\w+|\$\{\w+\})*))?\})?)?/g,
    (match, plain?: string, braced?: string, colon?: string, operator?: string, word = '') => {
      if (match === '\\$' || match === '$') return '$'
      const value = variables.get(plain ?? braced ?? '')
      const isThere = value !== undefined && (colon === '' || value !== '')
      if (operator === '-') return isThere ? value : inner(word as string)
      if (operator === '+') return isThere ? inner(word as string) : ''
      isKnown &&= value !== undefined
      return value ?? ''
    },
  )
  return isKnown ? expanded : undefined
}

const baseImage = '${base_image}'
/** Instructions of Dockerfiles that image extensions write (image_extension.md, "Dockerfile Requirements"). */
const permitted = ['FROM', 'ADD', 'ARG', 'COPY', 'ENV', 'LABEL', 'RUN', 'SHELL', 'USER', 'WORKDIR']

/** The effect of a run.Dockerfile on the run image. */
export interface RunDockerfile {
  /** The image that replaces the run image; undefined if the Dockerfile extends the run image. */
  readonly image: string | undefined
  /** The line of FROM. */
  readonly line: number
  /** Whether it has instructions that make layers or change the config. */
  readonly extends: boolean
  /** Instructions that extensions should not use. */
  readonly unusual: readonly string[]
}

/** @throws BaleError 'input' unless it has exactly one FROM, and only ARG before it */
export function readRunDockerfile(text: string, where: string): RunDockerfile {
  const instructions = parseDockerfile(text, where)
  const from = onlyFrom(instructions, where)
  const variables = new Map([['base_image', baseImage]])
  for (const { value, line } of instructions.filter(({ name, line: at }) => name === 'ARG' && at < from.line)) {
    for (const [, name = '', fallback] of value.matchAll(/(\w+)(?:=("(?:\\.|[^"\\])*"|'[^']*'|\S*))?(?=\s|$)/g)) {
      if (fallback === undefined || name === 'base_image') continue
      const known = expandVariables(unquoted(fallback), variables)
      if (known === undefined) throw wrong(where, line, `ARG ${value} has a variable that is not set`)
      variables.set(name, known)
    }
  }
  const image = expandVariables(imageOf(from, where), variables)
  if (!image)
    throw wrong(
      where,
      from.line,
      `FROM ${from.value} does not name an image`,
      'give each variable a default: ARG name=value',
    )
  return {
    image: image === baseImage ? undefined : image,
    line: from.line,
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
      'only a run.Dockerfile may use another image',
    )
  return unusualOf(instructions)
}

function onlyFrom(instructions: readonly Instruction[], where: string): Instruction {
  const [from, second] = instructions.filter(({ name }) => name === 'FROM')
  if (from === undefined) throw wrong(where, 1, 'it has no FROM', 'begin with ARG base_image and FROM ${base_image}')
  if (second !== undefined)
    throw wrong(
      where,
      second.line,
      'it has a second FROM',
      'a Dockerfile of an image extension may have only one stage',
    )
  const early = instructions.find(({ name, line }) => line < from.line && name !== 'ARG')
  if (early !== undefined) throw wrong(where, early.line, `${early.name} comes before FROM`)
  return from
}

/** Returns the image of FROM, without `--platform=…` and `AS name`. */
function imageOf(from: Instruction, where: string): string {
  const [, image, ...more] = /^(?:--\w+=\S+\s+)*((?!--)\S+)(?:\s+as\s+\S+)?$/i.exec(from.value) ?? []
  if (image === undefined || more.length > 0)
    throw wrong(where, from.line, `FROM ${from.value} is not supported`, 'write FROM [--platform=…] IMAGE [AS NAME]')
  return unquoted(image)
}

const unquoted = (text: string): string => /^(["'])([\s\S]*)\1$/.exec(text)?.[2] ?? text

const unusualOf = (instructions: readonly Instruction[]): string[] => [
  ...new Set(instructions.map(({ name }) => name).filter(name => !permitted.includes(name))),
]
