import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { StringDecoder } from 'node:string_decoder'
import { BuildpackError } from './errors.ts'
import type { Log } from './log.ts'

export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly cwd: string
  /** The whole environment: the program inherits no other variables. */
  readonly env: Readonly<Record<string, string>>
  /** Real paths that the program cannot write to, if the lifecycle can enforce it. */
  readonly readOnly?: readonly string[]
}

export interface CommandResult {
  /** The exit status; 128 plus the signal's number for a program that a signal ended, as in a shell. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, and passes on each line as it comes. Tests replace it. */
export type Runner = (command: Command, onLine: (line: string) => void) => Promise<CommandResult>

/** The runner that starts real programs. Their standard input is empty, so none can wait for an answer. */
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

/** Collects a stream's text, and passes on its lines one by one. */
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

/** The steps of a build that a command of the user may replace, as in Railpack. */
export type Step = 'install' | 'build'

export interface RunOptions {
  /** The program as the user knows it, for the error message: `npm ci`. */
  readonly name?: string
  /** The default is the application's directory. */
  readonly cwd?: string
  /** Variables that override the context's; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The step of the build that this program is. A command of the user may replace it (own-commands.ts). */
  readonly step?: Step
  /** What the program prints is shown only if it fails, or with BP_LOG_LEVEL=debug. */
  readonly quiet?: boolean
  /** Lines that do not help a user. They are shown only with BP_LOG_LEVEL=debug. */
  readonly hides?: (line: string) => boolean
  /** A status other than 0 is a result, not an error. */
  readonly allowFailure?: boolean
  /**
   * What the user can do if the program fails. It may depend on the program's standard error, or on its standard output, where Maven
   * writes errors.
   */
  readonly fix?: string | ((stderr: string, stdout: string) => string | undefined)
}

/**
 * Runs a program and shows its output.
 * @throws BuildpackError if it cannot be started, or if it exits with a status other than 0
 */
export type Run = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<CommandResult>

export function makeRun(
  runner: Runner,
  log: Log,
  defaults: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Run {
  // Paketo's name for the setting. Other output of programs is always shown.
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
    const { fix } = options
    const explained = typeof fix === 'function' ? fix(result.stderr, result.stdout) : undefined
    throw new BuildpackError(`${options.name ?? argv.join(' ')} failed with exit status ${result.exitCode}`, {
      fix:
        fixFor(causesOfAll, result.stderr) ??
        sshFix(`${result.stderr}\n${result.stdout}`) ??
        explained ??
        (typeof fix === 'string' ? fix : undefined),
    })
  }
}

/** What to do if something needs `.git`, which the build's copy of the source does not include (lifecycle/platform/source-filter.ts). */
export const keepGit = 'a line "!.git" in .dockerignore, or in exclude of project.toml, keeps it, in the image too'

type Fixes = readonly (readonly [printed: RegExp, fix: string])[]

/** Causes of failures that explain everything else that a program prints. */
const causesOfAll: Fixes = [
  [/No space left on device|ENOSPC/, 'free some space on the disk that holds the builds'],
  [/not a git repository/, `the source has no .git in the build: ${keepGit}`],
]

/** What ssh prints in every program that calls git, for the options of bale build. */
const sshFixes: Fixes = [
  [
    /Host key verification failed/,
    'a dependency is on a server that SSH does not know: add its key to ~/.ssh/known_hosts (ssh-keyscan HOST), and build with --ssh default',
  ],
  [
    /Permission denied \((?:publickey|password|keyboard)/,
    'a dependency is in a private repository: --ssh default lets the build sign in with the keys of your SSH agent, --ssh default=FILE with a key in a file',
  ],
]

const fixFor = (fixes: Fixes, printed: string): string | undefined =>
  fixes.find(([pattern]) => pattern.test(printed))?.[1]

/**
 * What to do if ssh could not sign in to a server; undefined if it printed nothing of that kind. A refused key explains all other output,
 * so this fix comes before every other one. Programs that `run` reports itself have it already.
 */
export const sshFix = (printed: string): string | undefined => fixFor(sshFixes, printed)

/** The beginning and the end of quiet output: tar on a full disk prints a line for each of thousands of files. */
function excerpt(lines: readonly string[]): string[] {
  const [first, last] = [20, 20]
  const left = lines.length - first - last
  if (left <= 1) return [...lines]
  return [...lines.slice(0, first), `(${left} more lines)`, ...lines.slice(-last)]
}
