import { seccompArch, seccompFilter } from './seccomp.ts'

/** What a program and all that it starts may not do: see lifecycle/engines/landlock/restrict.h, which has the Linux versions. */
export interface Restrictions {
  /** Make system calls that no build needs: see seccomp.ts. */
  readonly systemCalls?: boolean
  /** Connect to abstract unix sockets of processes outside. */
  readonly sockets?: boolean
  /** Send signals to processes outside. */
  readonly signals?: boolean
  /** Real paths: nothing at or below them is written, made or removed, and nothing is made beside them. */
  readonly readOnly?: readonly string[]
  /** Real paths, for what lies below one of those. */
  readonly writable?: readonly string[]
}

/** As options of the programs that apply them. */
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
