import { BaleError } from '../errors.ts'
import { type Node, errorAt, quote, requiredText, tables, texts } from './read.ts'
import { isTable } from './table.ts'

/** Execution environments (buildpack.md, "Execution Environments"): the purpose of an app's build. */

export const defaultExecEnv = 'production'

/** Returns CNB_EXEC_ENV, or its default. `/` is reserved for future use. */
export function execEnvOf(value: string | undefined): string {
  const execEnv = value === undefined || value === '' ? defaultExecEnv : value
  if (!/[/\x00-\x1f\x7f]/.test(execEnv)) return execEnv
  throw new BaleError('arguments', `${quote(execEnv)} is not an execution environment`, {
    where: 'CNB_EXEC_ENV',
    fix: 'use production, test, development or another plain name',
  })
}

/** Returns whether an element limited to these environments applies in this one. No list and `*` mean all. */
export function appliesIn(execEnvs: readonly string[] | undefined, execEnv: string): boolean {
  return !execEnvs || execEnvs.length === 0 || execEnvs.includes('*') || execEnvs.includes(execEnv)
}

/**
 * Reads `exec-env`, an array of strings or of tables with a name: the specification and implementations differ, and both
 * forms are in use.
 */
export function readExecEnv(node: Node): readonly string[] {
  const value = node.table['exec-env']
  const found =
    Array.isArray(value) && value.some(isTable)
      ? tables(node, 'exec-env').map(t => requiredText(t, 'name'))
      : texts(node, 'exec-env')
  const wrong = found.find(name => name === '' || name.includes('/'))
  if (wrong !== undefined) throw errorAt(node, 'exec-env', `${quote(wrong)} is not an execution environment`)
  return found
}

/** `{ execEnv }` when limited, for spreading: `*` and an empty list mean the same as none. */
export function optionalExecEnv(node: Node): { readonly execEnv?: readonly string[] } {
  const execEnv = readExecEnv(node)
  return execEnv.length === 0 || execEnv.includes('*') ? {} : { execEnv }
}
