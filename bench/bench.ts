import type { Tree } from './tree.ts'

/** What the pieces measure with. */
export interface Bench {
  /** Empty at first; commands run in it. */
  readonly dir: string
  readonly root: string
  readonly runs: number
  /** The largest inputs, which take minutes, as well. */
  readonly full: boolean
  /** A node_modules; made when first asked for. */
  readonly tree: () => Tree
  /** The command that runs a task of bench/task.ts. */
  readonly task: (...args: string[]) => string
  /** HOST:PORT of a registry on this machine; started when first asked for. */
  readonly registry: () => Promise<string>
  /** What is to be stopped at the end, and not before: stopping a daemon deletes what it has. */
  readonly ends: AsyncDisposableStack
}
