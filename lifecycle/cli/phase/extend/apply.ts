import { isAbsolute, join } from 'node:path'
import { findAccount } from '../../../engines/accounts.ts'
import { BaleError } from '../../../errors.ts'
import type { Reporter } from '../../../events.ts'
import { makeDirectories } from '../../../files/directories.ts'
import type { ContainerConfig } from '../../../image/config.ts'
import { type Instruction, parseDockerfile } from '../../../spec/dockerfile.ts'
import { findProgram } from '../../../processes/find-program.ts'
import { runExecutable } from '../../../phases/run-executable.ts'
import { copyFiles } from './copy.ts'
import type { ExtensionDockerfile } from './dockerfiles.ts'
import { type Word, expandWord, plainOf, splitWords, wholeWord } from './words.ts'

export interface ApplyInput extends Pick<ExtensionDockerfile, 'text' | 'where' | 'context'> {
  /** Build arguments. The Dockerfile sees the ones that it declares with ARG. */
  readonly args: ReadonlyMap<string, string>
  readonly config: ContainerConfig
  /** Variables of RUN, which the image's and the Dockerfile's own override: the proxy settings. */
  readonly env: Readonly<Record<string, string>>
  /** Ends processes that RUN leaves behind: they could continue as root, or change what later instructions read. */
  readonly supervisor: string
  readonly reporter: Reporter
}

/** The state that an instruction starts from: variables, user, directory and shell. */
interface State {
  readonly env: Map<string, string>
  readonly args: Map<string, string>
  /** The default of each ARG before FROM. */
  readonly defaults: Map<string, string>
  readonly labels: Map<string, string>
  user: string
  workingDir: string
  shell: readonly string[]
}

const withoutEffect = [
  ...['CMD', 'ENTRYPOINT', 'EXPOSE', 'HEALTHCHECK', 'MAINTAINER', 'ONBUILD', 'STOPSIGNAL', 'VOLUME'],
]
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Applies a Dockerfile of an image extension to the file system of this container, as root (image_extension.md, "Phase: Extension";
 * docs.docker.com, "Dockerfile reference"). The process must be root: RUN runs as the user that the Dockerfile sets.
 * @returns the config that the image has afterwards
 * @throws BaleError 'failed' for a RUN that fails, 'input' for an unsupported instruction; changes made before it stay
 */
export async function applyDockerfile(input: ApplyInput, signal?: AbortSignal): Promise<ContainerConfig> {
  const { config } = input
  const state: State = {
    env: new Map((config.Env ?? []).map(entry => pairOf(entry))),
    args: new Map(),
    defaults: new Map(),
    labels: new Map(Object.entries(config.Labels ?? {})),
    user: config.User ?? '',
    workingDir: config.WorkingDir || '/',
    shell: shellOf(config),
  }
  const instructions = parseDockerfile(input.text, input.where)
  const from = instructions.findIndex(({ name }) => name === 'FROM')
  // An ARG before FROM applies to FROM, and gives the default of an ARG of the same name after it.
  for (const instruction of instructions.slice(0, from)) await apply(instruction, state, input, signal)
  for (const [name, value] of state.args) state.defaults.set(name, value)
  state.args.clear()
  for (const instruction of instructions.slice(from + 1)) {
    signal?.throwIfAborted()
    await apply(instruction, state, input, signal)
  }
  return {
    ...config,
    ...(state.user !== config.User && state.user !== '' && { User: state.user }),
    Env: [...state.env].map(([name, value]) => `${name}=${value}`),
    ...(state.workingDir !== (config.WorkingDir || '/') && { WorkingDir: state.workingDir }),
    Labels: Object.fromEntries(state.labels),
    ...(instructions.some(({ name }) => name === 'SHELL') && { Shell: state.shell }),
  }
}

const shellOf = ({ Shell }: ContainerConfig): readonly string[] =>
  Array.isArray(Shell) && Shell.length > 0 ? Shell.map(String) : ['/bin/sh', '-c']

async function apply(instruction: Instruction, state: State, input: ApplyInput, signal?: AbortSignal): Promise<void> {
  const { name, value } = instruction
  if (instruction.hasDocument) refuse(instruction, input, 'here-documents are not supported')
  const expand = (word: Word): string => expanded(word, state, input, instruction)
  const whole = (): string => expand(closed(wholeWord(value), instruction, input))
  switch (name) {
    case 'ARG':
      for (const word of closed(splitWords(value), instruction, input)) declare(word, state, input, instruction)
      return
    case 'ENV':
      for (const [key, text] of assignments(instruction, input, expand)) state.env.set(key, text)
      return
    case 'LABEL':
      for (const [key, text] of assignments(instruction, input, expand)) state.labels.set(key, text)
      return
    case 'USER':
      state.user = whole() || refuse(instruction, input, 'USER names nobody')
      return
    case 'WORKDIR': {
      const dir = whole()
      state.workingDir = isAbsolute(dir) ? dir : join(state.workingDir, dir)
      await makeDirectories(state.workingDir)
      return
    }
    case 'SHELL':
      state.shell = listOf(value) ?? refuse(instruction, input, 'SHELL needs a list: ["/bin/bash", "-c"]')
      return
    case 'COPY':
    case 'ADD': {
      const [, options = '', rest = ''] = /^((?:--\S+\s+)*)([\s\S]*)$/.exec(value) ?? []
      const paths =
        listOf(rest)?.map((text): Word => [{ text, isLiteral: false }]) ?? closed(splitWords(rest), instruction, input)
      return copyFiles({
        name,
        options: closed(splitWords(options), instruction, input).map(expand),
        paths: paths.map(expand),
        workingDir: state.workingDir,
        context: input.context,
        where: at(instruction, input),
      })
    }
    case 'RUN':
      return run(instruction, state, input, signal)
    default:
      // These instructions do not change the file system, and detector has warned about them.
      if (!withoutEffect.includes(name)) refuse(instruction, input, `${name} is not an instruction`)
  }
}

async function run(instruction: Instruction, state: State, input: ApplyInput, signal?: AbortSignal): Promise<void> {
  const { value } = instruction
  if (value.startsWith('--')) refuse(instruction, input, 'options of RUN are not supported')
  const argv = listOf(value) ?? [...state.shell, value]
  const { home, ...user } = await findAccount('/', state.user)
  const [name = '', ...args] = argv
  const env = {
    PATH: defaultPath,
    HOME: home,
    ...input.env,
    ...Object.fromEntries([...state.args, ...state.env]),
  }
  const file = name.includes('/') ? name : await findProgram(name, env.PATH)
  if (file === undefined) return refuse(instruction, input, `${name} is not in any directory of PATH`)
  const { reporter } = input
  reporter.event({ type: 'note', level: 'info', text: `RUN ${value}` })
  const exitCode = await runExecutable(
    {
      file,
      args,
      env,
      workingDir: state.workingDir,
      user,
      supervision: { supervisor: input.supervisor, restrictions: {} },
      onLine: (stream, text) => reporter.event({ type: 'output', stream, text }),
    },
    signal,
  )
  if (exitCode !== 0)
    throw new BaleError('failed', `RUN ended with ${exitCode}: ${value}`, {
      where: at(instruction, input),
      fix: 'see its output above',
    })
}

/** `ARG name=default`: sets the build's value, the default, or the value of an earlier ARG, in this order; otherwise nothing. */
function declare(word: Word, state: State, input: ApplyInput, instruction: Instruction): void {
  const [name, fallback] = pairOf(expanded(word, state, input, instruction))
  const value =
    input.args.get(name) ??
    (plainOf(word).includes('=') ? fallback : (state.args.get(name) ?? state.defaults.get(name)))
  if (value !== undefined) state.args.set(name, value)
}

/** `A=b C="d e"`, or the old form `A b  c`. */
function assignments(instruction: Instruction, input: ApplyInput, expand: (word: Word) => string): [string, string][] {
  const { name, value } = instruction
  const [, key, rest] = /^([^\s="']+)\s+([\s\S]*)$/.exec(value) ?? []
  if (key !== undefined && rest !== undefined) return [[key, expand(closed(wholeWord(rest), instruction, input))]]
  const words = closed(splitWords(value), instruction, input)
  if (words.length === 0 || words.some(word => !/^[^=]+=/.test(plainOf(word))))
    refuse(instruction, input, `${name} needs NAME=value`)
  return words.map(word => pairOf(expand(word)))
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function expanded(word: Word, { args, env }: State, input: ApplyInput, instruction: Instruction): string {
  const value = expandWord(word, new Map([...args, ...env]))
  return value ?? refuse(instruction, input, `${plainOf(word)} is not supported`)
}

/** Refuses words with an unclosed quote. */
const closed = <T>(words: T | undefined, instruction: Instruction, input: ApplyInput): T =>
  words ?? refuse(instruction, input, 'a quote has no end')

/** Parses `["a", "b"]` as JSON. Returns undefined for anything else. */
function listOf(value: string): string[] | undefined {
  if (!value.startsWith('[')) return undefined
  try {
    const list: unknown = JSON.parse(value)
    return Array.isArray(list) && list.length > 0 && list.every(item => typeof item === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

const at = ({ line }: Instruction, { where }: ApplyInput): string => `${where}:${line}`

function refuse(instruction: Instruction, input: ApplyInput, message: string): never {
  throw new BaleError('input', message, { where: at(instruction, input) })
}
