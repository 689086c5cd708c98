import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { type Outputs, openOutputs } from '../processes/pipe.ts'
import { BaleError } from '../errors.ts'
import { errnoError } from '../files/wrap-errno.ts'

export interface Executable {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  /** A whole line, without its newline; a line longer than 64 KiB arrives in parts. */
  onLine(stream: 'stdout' | 'stderr', line: string): void
}

/** How long a program has between SIGTERM and SIGKILL. */
const graceMilliseconds = 5000
const longestLine = 64 * 1024

/**
 * Runs one of a buildpack's executables in a process group of its own, which is killed when the signal is aborted.
 * Returns its exit code, 128 + n for a signal.
 */
export async function runExecutable(executable: Executable, signal?: AbortSignal): Promise<number> {
  const { file, args, env, workingDir } = executable
  const stdout = lines(text => executable.onLine('stdout', text))
  const stderr = lines(text => executable.onLine('stderr', text))
  const failures: unknown[] = []
  using outputs = await openOutputs(
    tmpdir(),
    (stream, chunk) => (stream === 'stdout' ? stdout : stderr).push(chunk),
    error => failures.push(error),
  )
  // The listeners are attached after the last await: an event that is emitted before has no listener and is lost.
  signal?.throwIfAborted()
  const child = start(file, args, { cwd: workingDir, env, detached: true }, outputs)
  const stop = (): void => terminate(child)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const code = await exitCode(child, executable)
    // A background process may hold the pipes open for ever, so the end of the program itself decides.
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
/** Bytes that two pipes can hold (/proc/sys/fs/pipe-max-size): the most that the program itself can have left unread. */
const largestPipe = 2 * 1024 * 1024

function start(file: string, args: readonly string[], options: SpawnOptions, outputs: Outputs): ChildProcess {
  try {
    return spawn(file, args, { ...options, stdio: [outputs.stdin, outputs.stdout, outputs.stderr] })
  } finally {
    outputs.release()
  }
}

function exitCode(child: ChildProcess, executable: Executable): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', cause => reject(startFailure(cause, executable)))
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0)))
    })
  })
}

/** The system reports the same error for a missing program and for a missing working directory. */
function startFailure(cause: Error, { file, workingDir }: Executable): Error {
  try {
    accessSync(workingDir, constants.X_OK)
  } catch (ofDirectory) {
    return errnoError(ofDirectory, workingDir) as Error
  }
  const missing = 'code' in cause && cause.code === 'ENOENT'
  if (missing && hasWindowsLineEnd(file))
    return new BaleError('input', `cannot run ${file}: its first line ends in CRLF, so its interpreter is not found`, {
      where: file,
      fix: `save it with LF line ends: sed -i 's/\\r$//' ${file}`,
      cause,
    })
  const why = missing ? 'the program or the interpreter in its first line does not exist' : cause.message
  return new BaleError('input', `cannot run ${file}: ${why}`, { where: file, cause })
}

/** Whether a script's first line ends as on Windows (S20): the kernel takes the CR for a part of the interpreter's name. */
function hasWindowsLineEnd(file: string): boolean {
  const start = Buffer.alloc(256)
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return /^#![^\n]*\r\n/.test(start.toString('latin1', 0, readSync(fd, start)))
    } finally {
      closeSync(fd)
    }
  } catch {
    return false
  }
}

const signalNumbers: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

function terminate(child: ChildProcess): void {
  killGroup(child, 'SIGTERM')
  void setTimeout(graceMilliseconds, undefined, { ref: false }).then(() => killGroup(child, 'SIGKILL'))
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The process group has already ended.
  }
}

/** Cuts chunks into lines. Memory stays bounded whatever the program prints (D17: 10 GB without a newline). */
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
