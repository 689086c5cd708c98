import type { PlatformFeatures } from '../../spec/api.ts'
import type { PhaseLog } from './log.ts'
import type { Inputs } from './flags.ts'
import type { Images } from './images.ts'
import type { Owner } from '../../layers/tree/entries.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** What a phase binary works with. */
export interface PhaseContext {
  readonly inputs: Inputs
  readonly env: Env
  readonly features: PlatformFeatures
  readonly log: PhaseLog
  readonly signal: AbortSignal
  readonly io: Io
  /** Connections and temporary files: they end with the process, however it ends. */
  readonly resources: AsyncDisposableStack
}

/** The process, as far as phases see it: a test gives its own. */
export interface Io {
  /** Standard output: everything that is said goes there. */
  readonly write: (text: string) => void
  /** Effective ids. */
  readonly user: Owner
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Goes on as another user, in these groups alone: for root, and for good. */
  become(user: Owner, groups: readonly number[]): void
  /** How another phase binary is started: argv, to which its flags are appended. Absolute paths. */
  program(name: 'detector' | 'builder'): readonly string[]
  /** Path of the supervisor (distribution/supervisor), which programs that run buildpacks are started by. */
  readonly supervisor: string
}

/**
 * What a binary does, once its arguments are checked and its files are read: whatever fails before has no phase's exit
 * status. Between the two the process gives up what it need not have (see privileges.ts).
 */
export interface PhaseCommand {
  /** Directories that the CNB user must be able to write to, for a binary that starts as root. */
  readonly owns?: readonly string[]
  /** What opens them may be the property of the user that the binary starts as; undefined where no image is opened. */
  readonly images: Pick<Images, 'handOver' | 'daemonSocket'> | undefined
  run(): Promise<void>
}

/** A file of a binary has one such function, named `prepare`. */
export type Prepare = (context: PhaseContext) => Promise<PhaseCommand>
