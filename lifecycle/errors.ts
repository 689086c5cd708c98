/** The phases of a build, in the order in which they run, and other operations. */
export type PhaseName = 'analyze' | 'detect' | 'generate' | 'restore' | 'extend' | 'build' | 'export' | 'rebase'

/**
 * The kind of failure. Codes with their own exit status have it everywhere; the others take the
 * status of the failed phase (platform.md, "Exit Code" tables of each phase).
 */
export type ErrorCode =
  | 'failed' // any other failure
  | 'usage' // an unknown or malformed flag
  | 'arguments' // arguments or inputs that cannot be used: a bad image name, an unreadable run image
  | 'input' // a file with bad content: a descriptor, a layer, a cache
  | 'filesystem' // the operating system refused: permissions, a full disk
  | 'registry' // a registry, its token server or the connection
  | 'cache' // a shared cache or the connection
  | 'credentials' // a credential helper or a docker config.json
  | 'daemon' // the Docker or Podman API
  | 'cluster' // a Kubernetes cluster or the connection
  | 'engine' // the sandbox could not be made
  | 'platform-api'
  | 'buildpack-api'
  | 'nothing-detected' // no group passed, none errored
  | 'detect-errored' // no group passed, at least one buildpack errored
  | 'generate-failed' // an image extension's bin/generate exited non-zero
  | 'buildpack-failed' // a buildpack's bin/build exited non-zero
  | 'cancelled' // the user's Ctrl-C or SIGTERM

export interface ErrorDetails {
  /** The place: `buildpack.toml:3 buildpack.version`, a path, a URL. */
  where?: string
  /** What the user can do about it, as an imperative. */
  fix?: string
  cause?: unknown
}

/** The only error class for users: it says what failed, where, and what to do. */
export class BaleError extends Error {
  override readonly name = 'BaleError'
  readonly code: ErrorCode
  readonly where: string | undefined
  readonly fix: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.where = details.where
    this.fix = details.fix
  }
}

const statusOfCode: Partial<Record<ErrorCode, number>> = {
  usage: 2,
  arguments: 3,
  'platform-api': 11,
  'buildpack-api': 12,
  'nothing-detected': 20,
  'detect-errored': 21,
  'buildpack-failed': 51,
  'generate-failed': 91,
  cancelled: 130,
}

const statusOfPhase: Record<PhaseName, number> = {
  detect: 22,
  generate: 92,
  analyze: 32,
  restore: 42,
  build: 52,
  export: 62,
  rebase: 72,
  extend: 102,
}

const failedIn = new WeakMap<object, PhaseName>()

/** Runs a phase, and records the phase of an error: see `exitStatus`. */
export async function inPhase<T>(phase: PhaseName, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    // The innermost phase counts: generation is a part of detector.
    if (error !== null && typeof error === 'object' && !failedIn.has(error)) failedIn.set(error, phase)
    throw error
  }
}

/** The same failure in other words: its code, cause and phase stay. */
export function reworded(error: BaleError, reword: (text: string) => string): BaleError {
  const [message, where, fix] = [error.message, error.where, error.fix].map(text => text && reword(text))
  if (message === error.message && where === error.where && fix === error.fix) return error
  const other = new BaleError(error.code, message ?? '', {
    ...(where !== undefined && { where }),
    ...(fix !== undefined && { fix }),
    cause: error.cause,
  })
  const phase = failedIn.get(error)
  if (phase !== undefined) failedIn.set(other, phase)
  return other
}

/** The exit status of a failure, by its code or else by its phase; 1 outside of any phase. */
export function exitStatus(error: unknown): number {
  const own = error instanceof BaleError ? statusOfCode[error.code] : undefined
  const phase = error !== null && typeof error === 'object' ? failedIn.get(error) : undefined
  return own ?? (phase === undefined ? 1 : statusOfPhase[phase])
}

/** True for an error of the operating system with one of the codes: `isErrno(e, 'ENOENT')`. */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException & { code: string } {
  return (
    error instanceof Error &&
    !(error instanceof BaleError) && // its codes are Bale's
    'code' in error &&
    typeof error.code === 'string' &&
    (codes.length === 0 || codes.includes(error.code))
  )
}
