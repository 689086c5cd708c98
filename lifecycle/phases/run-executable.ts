import { type ChildProcess, spawn } from 'node:child_process'
import { BaleError } from '../errors.ts'

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
  signal?.throwIfAborted()
  const { file, args, env, workingDir } = executable
  const child = spawn(file, args, { cwd: workingDir, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stdout = lines(text => executable.onLine('stdout', text))
  const stderr = lines(text => executable.onLine('stderr', text))
  child.stdout.on('data', stdout.push)
  child.stderr.on('data', stderr.push)
  const stop = (): void => terminate(child)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await exitCode(child, file)
  } finally {
    signal?.removeEventListener('abort', stop)
    stdout.end()
    stderr.end()
    signal?.throwIfAborted()
  }
}

function exitCode(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', cause => {
      const missing = 'code' in cause && cause.code === 'ENOENT'
      const why = missing ? 'the program or the interpreter in its first line does not exist' : cause.message
      reject(new BaleError('input', `cannot run ${file}: ${why}`, { where: file, cause }))
    })
    // A background process may hold the pipes for ever: what counts is the program's own end.
    child.once('exit', (code, signal) => {
      const status = code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0))
      const done = (): void => resolve(status)
      const drain = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
        done()
      }, 1000)
      child.once('close', () => {
        clearTimeout(drain)
        done()
      })
    })
  })
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
  setTimeout(() => killGroup(child, 'SIGKILL'), graceMilliseconds).unref()
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The group is gone already.
  }
}

/** Cuts chunks into lines. Memory is bounded whatever is printed (D17: 10 GB without a newline). */
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
