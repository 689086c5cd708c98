import type { EventEmitter } from 'node:events'
import { fchmodSync, fchownSync, fstatSync, statfsSync } from 'node:fs'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { type Ending, type Sandbox, endOnAbort } from './sandbox.ts'

// A program in a sandbox with this process's input, output and signals.

/** The signals that users and platforms send to a container's first process. */
const forwarded = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
/** The signals that a terminal sends to every foreground process. */
const fromTerminal: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH']
/** Docker's default time from SIGTERM to SIGKILL. */
const grace = 10_000

export interface Attended {
  readonly stdio?: readonly [number, number, number]
  /** Emits this process's signals, which are passed on to the program. */
  readonly signals?: Pick<EventEmitter, 'on' | 'off'>
}

const pipefs = 0x50495045

/**
 * The program may open its output by name, as /dev/stdout: so its user owns a pipe or terminal, as in a container. A file of
 * root keeps its owner, and cannot be opened. Disposal, after the program's end, gives the terminal back.
 * @param id the program's user, if it differs from this process's
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
        // The terminal may belong to another run now, or to a user that may not be changed.
        if (fstatSync(fd).uid !== (id ?? process.geteuid?.())) continue
        fchmodSync(fd, was.mode & 0o7777)
        if (id !== undefined) fchownSync(fd, was.uid, was.gid)
      }
    },
  }
}

/** Passes signals on to the program until it has ended. */
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
    // A stop before the start is not a failure to start.
    return ending.state === 'never-ran' && last ? { state: 'ran', code: 128 + constants.signals[last] } : ending
  } finally {
    for (const name of forwarded) options.signals?.off(name, forward)
  }
}
