import { seccompArch, seccompFilter } from './seccomp.ts'

/** What a program and its descendants may not do. lifecycle/engines/landlock/restrict.h has the Linux versions. */
export interface Restrictions {
  /** Make system calls that no build needs: see seccomp.ts. */
  readonly systemCalls?: boolean
  /** Connect to abstract unix sockets of processes outside. */
  readonly sockets?: boolean
  /** Send signals to processes outside. */
  readonly signals?: boolean
  /** Real paths: nothing at or below them is written, made or removed, and nothing is made beside them. */
  readonly readOnly?: readonly string[]
  /** Real paths: exceptions below a path of `readOnly`. */
  readonly writable?: readonly string[]
}

/** Returns the options of the programs that apply restrictions. */
export function restrictionOptions({
  systemCalls,
  sockets,
  signals,
  readOnly = [],
  writable = [],
}: Restrictions): string[] {
  return [
    ...(systemCalls === true ? ['--system-calls', Buffer.from(seccompFilter(seccompArch())).toString('hex')] : []),
    ...(sockets === true ? ['--sockets'] : []),
    ...(signals === true ? ['--signals'] : []),
    ...readOnly.flatMap(path => ['--read-only', path]),
    ...writable.flatMap(path => ['--writable', path]),
  ]
}
