import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { isErrno } from '../errors.ts'
import { withoutPasswordsOfUrls } from '../image/reference.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly environment: Environment
  readonly signal: AbortSignal
  /** Called with each line of its standard error, without passwords. */
  readonly onLine?: ((line: string) => void) | undefined
}

export type CommandResult<T> = { readonly state: 'succeeded'; readonly value: T } | Failure

/** A failure of a command or of the consumer of its output. The latter is the `cause`, and the status may then be 0. */
export interface Failure {
  readonly state: 'failed'
  readonly status: number | NodeJS.Signals
  /** The last lines of its standard error. */
  readonly tail: readonly string[]
  readonly cause: unknown
}

const tailLength = 25
/** The time in milliseconds for a command's cleanup after SIGTERM. mmdebstrap deletes a tree of 600 MB in a few seconds. */
const patience = 60_000

/**
 * Ends the process group when the pipe on standard input closes: otherwise it would run for minutes after this process is killed.
 */
const endWithUs = 'exec 3<&0 </dev/null; { read -r _; kill -TERM 0; } <&3 >/dev/null 2>&1 & exec 3<&-'

/**
 * Runs a command in its own process group, passes its standard output to `consume`, and returns when the whole group has
 * ended. The signal ends the group and rejects with the signal's reason.
 */
export async function runCommand<T>(
  command: Command,
  consume: (output: Readable) => Promise<T>,
): Promise<CommandResult<T>> {
  const { argv, environment, signal, onLine } = command
  signal.throwIfAborted()
  // The caller's umask must not affect the modes of files that maintainer scripts write.
  const shell = ['-c', `umask 022; ${endWithUs}; exec "$@"`, 'sh', ...argv]
  const child = spawn('/bin/sh', shell, { env: environment, detached: true, stdio: 'pipe' })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const tail: string[] = []
  createInterface({ input: child.stderr }).on('line', raw => {
    const line = withoutPasswordsOfUrls(raw)
    if (tail.push(line) > tailLength) tail.shift()
    onLine?.(line)
  })
  // A daemon that a maintainer script left behind would keep the pipes open.
  child.once('exit', () => killGroup(child.pid, 'SIGKILL'))
  let impatience: NodeJS.Timeout | undefined
  const stop = () => {
    // Sent only once: mmdebstrap cleans up on the first signal, and a second would end the clean-up.
    killGroup(child.pid, 'SIGTERM')
    impatience = setTimeout(() => killGroup(child.pid, 'SIGKILL'), patience)
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    const consumed = consume(child.stdout).catch((error: unknown) => {
      child.stdout.destroy() // the command then gets EPIPE
      throw error
    })
    const [[output], [code, killedBy]] = await Promise.all([Promise.allSettled([consumed]), closed])
    signal.throwIfAborted()
    if (output.status === 'fulfilled' && code === 0) return { state: 'succeeded', value: output.value }
    const cause: unknown = output.status === 'rejected' ? output.reason : undefined
    return { state: 'failed', status: code ?? killedBy ?? 'SIGKILL', tail, cause }
  } finally {
    signal.removeEventListener('abort', stop)
    clearTimeout(impatience)
  }
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'EPERM')) throw error
  }
}

/** An ordinary user's PATH in Debian lacks required tools, such as chroot. */
export function searchPath(environment: Environment): string {
  return [environment.PATH ?? '/usr/bin:/bin', '/usr/sbin', '/sbin'].join(':')
}

/** For commands whose output is not needed. */
export async function discard(output: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of output);
}
