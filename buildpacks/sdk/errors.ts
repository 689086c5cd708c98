import { BaleError, type ErrorDetails } from '../../lifecycle/errors.ts'

/**
 * What the author of an application can put right: the message says what is wrong, `where` the place (`package.json
 * engines.node`), `fix` what to do about it. Anything else that a buildpack throws is a bug in it, and shown with its stack.
 */
export class BuildpackError extends BaleError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('buildpack-failed', message, details)
  }
}
