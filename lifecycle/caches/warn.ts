import { BaleError } from '../errors.ts'

/** Says what of a cache cannot be used: the build goes on without. It ends if it was stopped, and by an error of the program. */
export const warnOf =
  (description: string, options: { onWarning?(text: string): void }) =>
  (what: string, error: unknown, signal?: AbortSignal): undefined => {
    signal?.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    options.onWarning?.(`${description}: ${what} cannot be used: ${error.message}`)
  }
