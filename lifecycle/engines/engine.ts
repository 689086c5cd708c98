import type { EventEmitter } from 'node:events'

/**
 * A host path as the sandbox sees it: a file or directory. Both paths are absolute and in their plain form. A hostPath
 * that is a symbolic link is an error, since what a sandbox can write to may be swapped for one: resolve your user's own.
 * A mount can be inside of another that is read-only and has a place for it.
 */
export interface Mount {
  readonly hostPath: string
  readonly path: string
  readonly access: 'read-only' | 'read-write'
}

export interface EngineRun {
  /** Absolute path of the program inside, then its arguments. */
  readonly argv: readonly string[]
  /** The whole environment: nothing is inherited. Programs see PWD too, and HOME if it is not here. */
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  readonly mounts: readonly Mount[]
  readonly network: 'none' | 'host'
  readonly user: { readonly uid: number; readonly gid: number }
  /**
   * Called with each chunk as it arrives. While the promise that it may return is pending, nothing more is read from that
   * stream and the program waits; after an abort nobody waits for it.
   */
  onOutput(stream: 'stdout' | 'stderr', chunk: Uint8Array): void | Promise<void>
}

/** Most engines learn only what a shell does: a code of 128 and a signal's number is taken for that signal. */
export type ExitStatus = { readonly code: number } | { readonly signal: string }

/**
 * Where detect and build run. When `run` has settled, whether it returned or threw, no process that it started is
 * alive: export reads only what is at rest. All implementations pass `test/contracts/engines.ts`.
 */
export interface Engine {
  readonly name: 'bubblewrap' | 'container' | 'landlock' | 'unsandboxed'
  /** @throws BaleError 'engine' when it cannot work on this machine, saying what to do. */
  check(signal?: AbortSignal): Promise<void>
  /**
   * An abort sends SIGTERM to the program and, some seconds later, SIGKILL to all there is; then this rejects with the
   * signal's reason. It rejects with what `onOutput` throws, too.
   * @throws BaleError 'engine' when the sandbox could not be made; the program's own failure is an ExitStatus
   */
  run(run: EngineRun, signal?: AbortSignal): Promise<ExitStatus>
  /**
   * The same with the terminal of this process, whose signals are the program's; SIGTERM and SIGHUP end it. Only engines with
   * sandboxes of their own have this.
   * @throws BaleError 'engine' when the sandbox could not be made
   */
  attach?(run: Omit<EngineRun, 'onOutput'>, signals: Pick<EventEmitter, 'on' | 'off'>): Promise<void>
}
