import type { EventEmitter } from 'node:events'
import { fchmodSync, fchownSync, fstatSync, statfsSync } from 'node:fs'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { type Ending, type Sandbox, endOnAbort } from './sandbox.ts'

// A program in a sandbox that has our own input, output and signals.

/** Those that a container's first process gets from people and platforms. */
const forwarded = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
/** Those that a terminal sends, to every process that is in its foreground. */
const fromTerminal: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH']
/** Docker's, from SIGTERM to SIGKILL. */
const grace = 10_000

export interface Attended {
  readonly stdio?: readonly [number, number, number]
  /** Tells of signals that this process gets, which are for the program then. */
  readonly signals?: Pick<EventEmitter, 'on' | 'off'>
}

const pipefs = 0x50495045

/**
 * The program may open its output by name, as /dev/stdout: a pipe and the terminal are its user's then, as in a container. A file of
 * root's stays as it is, and cannot be opened. Disposal makes the terminal what it was, once nothing of the program is alive.
 * @param id the program's user, where that is another one than ours
 */
export function lendOutputs(stdio: readonly number[], id: number | undefined): Disposable {
  const terminals = stdio.filter(fd => isatty(fd)).map(fd => ({ fd, was: fstatSync(fd) }))
  if (id !== undefined) {
    for (const fd of stdio) if (statfsSync(`/proc/self/fd/${fd}`).type === pipefs) fchownSync(fd, id, id)
    for (const { fd, was } of terminals) fchownSync(fd, id, was.gid)
  }
  return {
    [Symbol.dispose]() {
      for (const { fd, was } of terminals) {
        // Another run in the same terminal may have it now, or it is somebody else's who may not be changed.
        if (fstatSync(fd).uid !== (id ?? process.geteuid?.())) continue
        fchmodSync(fd, was.mode & 0o7777)
        if (id !== undefined) fchownSync(fd, was.uid, was.gid)
      }
    },
  }
}

/** Passes signals on until it has ended. */
export async function attend(sandbox: Sandbox, options: Attended, signal?: AbortSignal): Promise<Ending> {
  const onTerminal = isatty(options.stdio?.[0] ?? 0)
  let last: NodeJS.Signals | undefined
  const forward = (name: NodeJS.Signals) => {
    const reached = sandbox.signal(name, onTerminal && fromTerminal.includes(name) ? 'group' : 'program')
    if (name === 'SIGWINCH') return
    last = name
    if (!reached) sandbox.kill() // the program has not started yet, or it has just ended
  }
  for (const name of forwarded) options.signals?.on(name, forward)
  using _end = endOnAbort(sandbox, signal, grace)
  try {
    const ending = await sandbox.ended
    signal?.throwIfAborted()
    // Stopped before it began: that is no failure to start.
    return ending.state === 'never-ran' && last ? { state: 'ran', code: 128 + constants.signals[last] } : ending
  } finally {
    for (const name of forwarded) options.signals?.off(name, forward)
  }
}
