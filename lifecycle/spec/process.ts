import { appliesIn } from './exec-env.ts'
import { type Node, requiredText, texts } from './read.ts'
import type { Process } from './types.ts'

/**
 * Formats a process for the launch phase of a platform. Before `command` was a list, it was one word, and its further
 * words were always passed, like `args`.
 */
export function writeCommand(process: Process, commandLists: boolean): { command: unknown; args: readonly string[] } {
  if (commandLists) return { command: process.command, args: process.args }
  const [command = '', ...always] = process.command
  return { command, args: [...always, ...process.args] }
}

/** `command` in metadata.toml and labels: a list since Platform API 0.10, one string before. */
export function readCommand(node: Node): readonly string[] {
  return typeof node.table['command'] === 'string' ? [requiredText(node, 'command')] : texts(node, 'command')
}

/** Returns whether a process can be started in an execution environment (platform.md, "launcher"). */
export function isEligible(process: Process, execEnv: string): boolean {
  return appliesIn(process.execEnv, execEnv)
}
