import { BaleError } from '../errors.ts'

/** Warns about unusable parts of a cache; the build continues without them. Rethrows an abort, and errors of the program. */
export const warnOf =
  (description: string, options: { onWarning?(text: string): void }) =>
  (what: string, error: unknown, signal?: AbortSignal): undefined => {
    signal?.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    options.onWarning?.(`${description}: ${what} cannot be used: ${error.message}`)
  }
