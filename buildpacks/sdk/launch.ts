import { checkProcessType } from '../../lifecycle/spec/ids.ts'
import type { Label, Metadata, Slice } from '../../lifecycle/spec/types.ts'

/** A process that the image can run (buildpack.md, "launch.toml"). */
export interface LaunchProcess {
  readonly type: string
  readonly command: readonly [string, ...string[]]
  /** Arguments that the user may replace. */
  readonly args?: readonly string[]
  readonly default?: boolean
  /** The default is the application's directory. */
  readonly workingDir?: string
}

/** The content of launch.toml: what build says about the image. */
export interface Launch {
  readonly processes?: readonly LaunchProcess[]
  readonly labels?: readonly Label[]
  readonly slices?: readonly Slice[]
}

/**
 * A process with a shell command line: variables, pipes and `&&` work, and `"$@"` holds the user's further arguments (the first word
 * after a script is its `$0`). The launcher itself starts no shell for processes of Buildpack API 0.9 and newer.
 */
export function shellProcess(
  type: string,
  script: string,
  options: { readonly default?: boolean } = {},
): LaunchProcess {
  return { type, command: ['bash', '-c', script, 'bash'], ...options }
}

/** Quotes `text` as one word of a shell command line. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** The table of launch.toml. */
export function launchDocument({ processes = [], labels = [], slices = [] }: Launch): Metadata {
  for (const { type } of processes) checkProcessType(type, 'launch.toml processes.type')
  return {
    ...(labels.length > 0 && { labels: labels.map(({ key, value }) => ({ key, value })) }),
    ...(processes.length > 0 && { processes: processes.map(processTable) }),
    ...(slices.length > 0 && { slices: slices.map(({ paths }) => ({ paths })) }),
  }
}

function processTable({ type, command, args, workingDir, ...rest }: LaunchProcess): Metadata {
  return { type, command, args, default: rest.default, 'working-dir': workingDir }
}
