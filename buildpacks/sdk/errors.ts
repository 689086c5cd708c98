import { BaleError, type ErrorDetails } from '../../lifecycle/errors.ts'

/**
 * An error that the author of an application can fix. The message says what is wrong, `where` names the place (`package.json
 * engines.node`), and `fix` says what to do. Any other error of a buildpack is a bug in it, and is shown with its stack.
 */
export class BuildpackError extends BaleError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('buildpack-failed', message, details)
  }
}
