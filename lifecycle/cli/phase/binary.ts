import type { PhaseContext } from './context.ts'
import type { Images } from './images.ts'

/**
 * The work of a binary, after it has checked its arguments and read its files: earlier failures do not have the phase's exit status.
 * Between the two the process drops the privileges that it does not need (see privileges.ts).
 */
export interface PhaseCommand {
  /** Directories that must be writable for the CNB user if the binary starts as root. */
  readonly owns?: readonly string[]
  /**
   * The images of the binary, whose credentials may belong to the user that starts it. Undefined if it opens no image.
   */
  readonly images: Pick<Images, 'handOver' | 'daemonSocket'> | undefined
  run(): Promise<void>
}

/** Each binary's file exports one such function, named `prepare`. */
export type Prepare = (context: PhaseContext) => Promise<PhaseCommand>
