import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { StringDecoder } from 'node:string_decoder'
import { BuildpackError } from './errors.ts'
import type { Log } from './log.ts'
import type { Step } from './own-commands.ts'

export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly cwd: string
  /** The whole environment: nothing else is passed on. */
  readonly env: Readonly<Record<string, string>>
  /** Real paths that the program cannot write to, where the lifecycle can see to it. */
  readonly readOnly?: readonly string[]
}

export interface CommandResult {
  /** The exit status; 128 and the signal's number for a program that a signal ended, as a shell has it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, handing on each line as it comes. Tests put a function of theirs here. */
export type Runner = (command: Command, onLine: (line: string) => void) => Promise<CommandResult>

/** The runner that starts real programs. Their input is empty, so that none can wait for an answer. */
export const spawnRunner: Runner = ({ argv: [program, ...args], cwd, env }, onLine) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const stdout = collect(child.stdout, onLine)
    const stderr = collect(child.stderr, onLine)
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'ENOENT' ? 'is not in the build image' : `cannot be started: ${cause.message}`
      reject(new BuildpackError(`${program} ${why}`, { cause }))
    })
    child.once('close', (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
      resolve({ exitCode, stdout: stdout(), stderr: stderr() })
    })
  })

/** Gathers a stream's text, and tells of its lines one by one. */
function collect(stream: NodeJS.ReadableStream, onLine: (line: string) => void): () => string {
  const decoder = new StringDecoder('utf8')
  const parts: string[] = []
  let line = ''
  stream.on('data', (chunk: Buffer) => {
    const text = decoder.write(chunk)
    parts.push(text)
    const lines = (line + text).split('\n')
    line = lines.pop() ?? ''
    for (const complete of lines) onLine(complete)
  })
  stream.on('end', () => {
    if (line !== '') onLine(line)
  })
  return () => parts.join('')
}

export interface RunOptions {
  /** The program as the user knows it, for the error message: `npm ci`. */
  readonly name?: string
  /** The application's directory if absent. */
  readonly cwd?: string
  /** Variables over those of the context; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The part of the build that it is: a command of the user's may stand in for it (own-commands.ts). */
  readonly step?: Step
  /** What the program prints is shown only if it fails, or with BP_LOG_LEVEL=debug. */
  readonly quiet?: boolean
  /** Lines that tell a user nothing: they are shown with BP_LOG_LEVEL=debug alone. */
  readonly hides?: (line: string) => boolean
  /** A status other than 0 is a result, not an error. */
  readonly allowFailure?: boolean
  /** What the user can do if it fails, perhaps told by what the program wrote to its standard error, or to its output, as Maven does. */
  readonly fix?: string | ((stderr: string, stdout: string) => string | undefined)
}

/**
 * Runs a program and shows what it prints.
 * @throws BuildpackError if it cannot be started, or ends with another status than 0
 */
export type Run = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<CommandResult>

export function makeRun(
  runner: Runner,
  log: Log,
  defaults: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Run {
  // Paketo's name for it; what else a program prints is shown anyway.
  const wantsAll = /^(debug|trace)$/i.test(defaults.env['BP_LOG_LEVEL'] ?? '')
  return async (argv, options = {}) => {
    const lines: string[] = []
    const quiet = options.quiet === true && !wantsAll
    const shows = (line: string) => wantsAll || options.hides?.(line) !== true
    const onLine = quiet
      ? (line: string) => void lines.push(line)
      : (line: string) => void (shows(line) && log.detail(line))
    const env = Object.fromEntries(
      Object.entries({ ...defaults.env, ...options.env }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    )
    const result = await runner({ argv, cwd: options.cwd ?? defaults.cwd, env }, onLine)
    if (result.exitCode === 0 || options.allowFailure === true) return result
    for (const line of excerpt(lines)) log.detail(line)
    const isFull = /No space left on device|ENOSPC/.test(result.stderr)
    const own = typeof options.fix === 'function' ? options.fix(result.stderr, result.stdout) : options.fix
    const wantsGit = /not a git repository/.test(result.stderr)
    const fix = wantsGit ? `the source has no .git in the build: ${keepGit}` : own
    throw new BuildpackError(`${options.name ?? argv.join(' ')} failed with exit status ${result.exitCode}`, {
      fix: isFull ? 'free some space on the disk that holds the builds' : fix,
    })
  }
}

/** What to do where something needs `.git`, which is no part of the source that is built (lifecycle/platform/source-filter.ts). */
export const keepGit = 'a line "!.git" in .dockerignore, or in exclude of project.toml, keeps it, in the image too'

/** The beginning and the end of what was kept back: tar on a full disk has a line for each of thousands of files. */
function excerpt(lines: readonly string[]): string[] {
  const [first, last] = [20, 20]
  const left = lines.length - first - last
  if (left <= 1) return [...lines]
  return [...lines.slice(0, first), `(${left} more lines)`, ...lines.slice(-last)]
}
