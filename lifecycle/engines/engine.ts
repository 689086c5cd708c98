import type { EventEmitter } from 'node:events'

/**
 * A file or directory of the host in the sandbox. Both paths are absolute and normalised. A hostPath
 * that is a symbolic link is an error, since a sandbox may replace a writable path by one: resolve your user's own links before.
 * A mount may be inside another mount that is read-only and has a mount point for it.
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
   * Called with each chunk as it arrives. While a returned promise is pending, nothing more is read from that
   * stream and the program waits; after an abort the promise is ignored.
   */
  onOutput(stream: 'stdout' | 'stderr', chunk: Uint8Array): void | Promise<void>
}

/** Most engines get only a shell's exit code: 128 plus a signal's number is taken as that signal. */
export type ExitStatus = { readonly code: number } | { readonly signal: string }

/**
 * Runs detect and build. When `run` has settled, with a result or an error, no process that it started is
 * alive, so files no longer change during export. All implementations pass `test/contracts/engines.ts`.
 */
export interface Engine {
  readonly name: 'bubblewrap' | 'container' | 'landlock' | 'unsandboxed'
  /** @throws BaleError 'engine' if it cannot work on this machine, with a remedy. */
  check(signal?: AbortSignal): Promise<void>
  /**
   * An abort sends SIGTERM to the program and, some seconds later, SIGKILL to all processes; then this rejects with the
   * signal's reason. It also rejects with an error of `onOutput`.
   * @throws BaleError 'engine' when the sandbox could not be made; the program's own failure is an ExitStatus
   */
  run(run: EngineRun, signal?: AbortSignal): Promise<ExitStatus>
  /**
   * The same on the terminal of this process, whose signals go to the program; SIGTERM and SIGHUP end it. Only engines with
   * sandboxes of their own have this.
   * @throws BaleError 'engine' when the sandbox could not be made
   */
  attach?(run: Omit<EngineRun, 'onOutput'>, signals: Pick<EventEmitter, 'on' | 'off'>): Promise<void>
}
