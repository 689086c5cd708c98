import type { Owner } from '../../layers/tree/entries.ts'
import type { BuildSecrets } from '../../phases/secrets.ts'
import type { PlatformFeatures } from '../../spec/api.ts'
import type { Env } from '../../stores/settings.ts'
import type { Inputs } from './flags.ts'
import type { PhaseLog } from './log.ts'

/** The environment of a phase binary. */
export interface PhaseContext {
  readonly inputs: Inputs
  readonly env: Env
  readonly features: PlatformFeatures
  readonly log: PhaseLog
  /** The secrets of -secrets, which the log masks. */
  readonly secrets: BuildSecrets
  readonly signal: AbortSignal
  readonly io: Io
  /** Connections and temporary files, released when the process ends in any way. */
  readonly resources: AsyncDisposableStack
}

/** The parts of the process that phases use. Tests pass their own. */
export interface Io {
  /** Standard output. All messages go there. */
  readonly write: (text: string) => void
  /** Effective ids. */
  readonly user: Owner
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Changes this process permanently to another user, in only these groups. Only root can do that. */
  become(user: Owner, groups: readonly number[]): void
  /** The start of argv of another phase binary, before its flags. Absolute paths. */
  program(name: 'detector' | 'builder'): readonly string[]
  /** Path of the supervisor (distribution/supervisor), which starts the programs that run buildpacks. */
  readonly supervisor: string
  /** Path of the program of lifecycle/engines/landlock. */
  readonly landlock: string
  /** The directory for images from restorer to extender (platform.md, "restorer": `<kaniko-dir>`, which is always /kaniko). */
  readonly kanikoDir?: string
  /** The file system that extender changes: `/` unless set. */
  readonly rootDir?: string
}
