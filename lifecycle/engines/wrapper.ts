/** A command that executes bubblewrap, which is at the end of its arguments: `unshare …`. */
export interface Wrapper {
  readonly argv: readonly string[]
  readonly cwd: string
  /** The path of `cwd` where a starter has mounted it. */
  readonly place?: string | undefined
  /** Shell commands to be run first. */
  readonly before: string
}
