import type { Tree } from './tree.ts'

/** The tools that all measurements share. */
export interface Bench {
  /** Empty at first; commands run in it. */
  readonly dir: string
  readonly root: string
  readonly runs: number
  /** Also measures the largest inputs, which take minutes. */
  readonly full: boolean
  /** A node_modules; made on first use. */
  readonly tree: () => Tree
  /** The command that runs a task of bench/task.ts. */
  readonly task: (...args: string[]) => string
  /** HOST:PORT of a registry on this machine; started on first use. */
  readonly registry: () => Promise<string>
  /** Programs to stop at the end. Stopping a daemon earlier would delete its data. */
  readonly ends: AsyncDisposableStack
}
