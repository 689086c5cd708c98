import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants as modes, openSync, readSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { type Outputs, openOutputs } from '../processes/pipe.ts'
import { BaleError, isErrno } from '../errors.ts'
import { supervise } from '../processes/supervisor.ts'
import { errnoError } from '../files/wrap-errno.ts'
import type { Supervision } from './supervision.ts'

export interface Executable {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  /** Root may start it as another user. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** With supervision, all processes that the program started have ended when this returns. */
  readonly supervision?: Supervision | undefined
  /** A whole line, without its newline; a line longer than 64 KiB arrives in parts. */
  onLine(stream: 'stdout' | 'stderr', line: string): void
}

/** The time between SIGTERM and SIGKILL. */
const graceMilliseconds = 5000
const longestLine = 64 * 1024

/**
 * Runs an executable of a buildpack, under a supervisor or in its own process group, which is killed when the signal
 * is aborted. Returns its exit code, 128 + n for a signal.
 */
export async function runExecutable(executable: Executable, signal?: AbortSignal): Promise<number> {
  const stdout = lines(text => executable.onLine('stdout', text))
  const stderr = lines(text => executable.onLine('stderr', text))
  const failures: unknown[] = []
  using outputs = await openOutputs(
    tmpdir(),
    (stream, chunk) => (stream === 'stdout' ? stdout : stderr).push(chunk),
    error => failures.push(error),
  )
  // The listeners are attached after the last await: an event that is emitted before them would be lost.
  signal?.throwIfAborted()
  const running = start(executable, outputs)
  const stop = (): void => terminate(running)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const code = await running.exitCode
    // A background process may hold the pipes open forever, so the program's own end counts.
    await outputs.settled(drainMilliseconds, largestPipe)
    if (failures.length > 0) throw failures[0]
    return code
  } finally {
    signal?.removeEventListener('abort', stop)
    stdout.end()
    stderr.end()
    signal?.throwIfAborted()
  }
}

const drainMilliseconds = 1000
/** The capacity of two pipes in bytes (/proc/sys/fs/pipe-max-size): the maximum unread output of the program itself. */
const largestPipe = 2 * 1024 * 1024

interface Running {
  readonly exitCode: Promise<number>
  terminate(): void
  kill(): void
}

function start(executable: Executable, outputs: Outputs): Running {
  const stdio = [outputs.stdin, outputs.stdout, outputs.stderr] as const
  try {
    return executable.supervision === undefined
      ? startGroup(executable, stdio)
      : startSupervised(executable, executable.supervision, stdio)
  } finally {
    outputs.release()
  }
}

type Stdio = readonly [number, number, number]

function startGroup(executable: Executable, stdio: Stdio): Running {
  const { file, args, env, workingDir, user } = executable
  const child = spawn(file, args, { cwd: workingDir, env, detached: true, stdio: [...stdio], ...user })
  return {
    exitCode: exitCode(child, executable),
    terminate: () => killGroup(child, 'SIGTERM'),
    kill: () => killGroup(child, 'SIGKILL'),
  }
}

function startSupervised(executable: Executable, supervision: Supervision, stdio: Stdio): Running {
  const { file, args, env, workingDir: cwd, user } = executable
  const supervised = supervise({ ...supervision, argv: [file, ...args], env, cwd, user, stdio })
  const codeOf = async (): Promise<number> => {
    try {
      const status = await supervised.ended
      return 'code' in status ? status.code : 128 + (constants.signals[status.signal as NodeJS.Signals] ?? 0)
    } catch (error) {
      const cause = error instanceof BaleError ? error.cause : undefined
      throw isErrno(cause) ? startFailure(cause, executable) : error
    }
  }
  return { exitCode: codeOf(), terminate: () => supervised.terminate(), kill: () => supervised.kill() }
}

function exitCode(child: ChildProcess, executable: Executable): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', cause => reject(startFailure(cause, executable)))
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0)))
    })
  })
}

/** The system reports the same error for a missing program and for a missing working directory. */
function startFailure(cause: Error, { file, workingDir }: Executable): Error {
  try {
    accessSync(workingDir, modes.X_OK)
  } catch (ofDirectory) {
    return errnoError(ofDirectory, workingDir) as Error
  }
  const missing = isErrno(cause, 'ENOENT')
  if (missing && hasWindowsLineEnd(file))
    return new BaleError('input', `cannot run ${file}: its first line ends in CRLF, so its interpreter is not found`, {
      where: file,
      fix: `save it with LF line ends: sed -i 's/\\r$//' ${file}`,
      cause,
    })
  const why = missing ? 'the program or the interpreter in its first line does not exist' : cause.message
  return new BaleError('input', `cannot run ${file}: ${why}`, { where: file, cause })
}

/** Returns whether a script's first line ends with CR LF (S20): the kernel takes the CR as part of the interpreter's name. */
function hasWindowsLineEnd(file: string): boolean {
  const start = Buffer.alloc(256)
  try {
    const fd = openSync(file, modes.O_RDONLY | modes.O_NONBLOCK)
    try {
      return /^#![^\n]*\r\n/.test(start.toString('latin1', 0, readSync(fd, start)))
    } finally {
      closeSync(fd)
    }
  } catch {
    return false
  }
}

function terminate(running: Running): void {
  running.terminate()
  void setTimeout(graceMilliseconds, undefined, { ref: false }).then(() => running.kill())
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The process group has already ended.
  }
}

/** Cuts chunks into lines. Memory stays bounded for any output (D17: 10 GB without a newline). */
export function lines(
  onLine: (line: string) => void,
  longest = longestLine,
): { readonly push: (chunk: Uint8Array) => void; readonly end: () => void } {
  const decoder = new TextDecoder()
  let rest = ''
  const take = (text: string): void => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    while (rest.length > longest) {
      onLine(rest.slice(0, longest))
      rest = rest.slice(longest)
    }
  }
  return {
    push: chunk => take(decoder.decode(chunk, { stream: true })),
    end: () => {
      take(decoder.decode())
      if (rest !== '') onLine(rest)
      rest = ''
    },
  }
}
