import type { PhaseName } from './errors.ts'

/** The displayed data of a buildpack. */
export interface BuildpackName {
  id: string
  version: string
}

/** Why a buildpack does or does not take part, for "what was detected and why". */
export interface DetectResult extends BuildpackName {
  status: 'passed' | 'failed' | 'errored' | 'skipped'
  optional: boolean
  /** The exit status of bin/detect; absent when it was not run. */
  exitCode?: number
  /** The output of bin/detect, or why it was not run. */
  output: string
  /** Set for an image extension. */
  extension?: boolean
}

export type LayerKind = 'buildpack' | 'sbom' | 'app' | 'launcher' | 'config' | 'process-types'

/**
 * Everything that a build reports. Phases emit events and print nothing; a Reporter renders them. The phases that run in a
 * sandbox write them to their standard output, a JSON object a line, and the host checks each one (`parseEvent`),
 * since buildpacks can write there too.
 */
export type BuildEvent =
  | { type: 'phase-started'; phase: PhaseName }
  | { type: 'phase-finished'; phase: PhaseName; milliseconds: number }
  /** Every buildpack and image extension that was tried and, when a group passed, the group. */
  | { type: 'detected'; results: DetectResult[]; group: BuildpackName[]; extensions?: BuildpackName[] }
  | { type: 'buildpack-started'; buildpack: BuildpackName }
  | { type: 'buildpack-finished'; buildpack: BuildpackName; milliseconds: number }
  /** A line that a buildpack printed, without its newline; between a phase and the host, several. */
  | { type: 'output'; stream: 'stdout' | 'stderr'; text: string }
  /** A step worth a line at the given level. */
  | { type: 'note'; level: 'debug' | 'info'; text: string }
  | { type: 'warning'; text: string; fix?: string }
  /** A layer was added to the image: newly made, or reused from the previous image or the store. Size is in the store. */
  | { type: 'layer'; action: 'added' | 'reused'; kind: LayerKind; name: string; diffId: string; size: number }
  /** `restored`: metadata, or metadata and contents, of `id:layer` were restored. */
  | { type: 'restored'; what: 'metadata' | 'data'; name: string; from: 'image' | 'cache' }
  | { type: 'cached'; action: 'added' | 'reused'; name: string; size: number }
  /** Bytes transferred so far; total is absent while unknown. `id` identifies a transfer. */
  | { type: 'transfer'; direction: 'push' | 'pull' | 'load'; id: string; name: string; done: number; total?: number }
  /** An image has no digest in a daemon, and an index has no image ID. */
  | { type: 'saved'; names: string[]; digest?: string | undefined; imageId?: string | undefined; size: number }

/** Renders events for a terminal, a log or a program. */
export interface Reporter {
  event(event: BuildEvent): void
  /**
   * Resolves when the reported output has been written; undefined if it has. A caller that can report endlessly waits for
   * it between events, so a slow reader costs no memory (X42).
   */
  drained?(): Promise<void> | undefined
  close(): Promise<void>
}

/** Drops all events: for programs that need none, and for tests. */
export const silent: Reporter = {
  event() {},
  async close() {},
}
