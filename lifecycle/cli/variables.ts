import { readFile } from 'node:fs/promises'
import { BaleError } from '../errors.ts'
import { textOf } from '../spec/text.ts'
import { errnoMessage } from '../files/wrap-errno.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Reads variables of `--env NAME=VALUE`, or `--env NAME` for the user's own value. Variables of files come first. */
export async function readVariables(
  given: readonly string[],
  files: readonly string[],
  env: Env,
): Promise<Record<string, string>> {
  const variables: Record<string, string> = {}
  for (const file of files) Object.assign(variables, await readVariableFile(file, env))
  for (const entry of given) set(variables, entry, env, '--env')
  return variables
}

/** Reads one variable from each line. Skips blank lines and lines that begin with #. Values are literal, quotes included. */
async function readVariableFile(file: string, env: Env): Promise<Record<string, string>> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new BaleError('arguments', `cannot read the env file: ${errnoMessage(cause)}`, {
      where: file,
      fix: 'correct the path after --env-file',
      cause,
    })
  })
  const variables: Record<string, string> = {}
  for (const [i, line] of textOf(bytes).split(/\r?\n/).entries()) {
    if (line.trim() !== '' && !line.startsWith('#')) set(variables, line, env, `${file}:${i + 1}`)
  }
  return variables
}

function set(variables: Record<string, string>, entry: string, env: Env, where: string): void {
  const equals = entry.indexOf('=')
  const name = equals < 0 ? entry : entry.slice(0, equals)
  // The value may be a secret, so messages show only the name.
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new BaleError('arguments', `${JSON.stringify(name.slice(0, 80))} is not the name of a variable`, {
      where,
      fix: 'write NAME=VALUE',
    })
  }
  const value = equals < 0 ? env[name] : entry.slice(equals + 1)
  if (value !== undefined) variables[name] = value
}

/**
 * Reads `NAME=VALUE` of labels and annotations.
 * @throws BaleError 'usage' for another format, and for names that the specification reserves
 */
export function readPairs(given: readonly string[] | undefined, where: string): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (const entry of given ?? []) {
    const equals = entry.indexOf('=')
    if (equals < 1)
      throw new BaleError('usage', `${JSON.stringify(entry)} has no value`, { where, fix: 'write NAME=VALUE' })
    const name = entry.slice(0, equals)
    if (name.startsWith('io.buildpacks.'))
      throw new BaleError('usage', `${name} is reserved for the lifecycle`, { where, fix: 'use another name' })
    pairs[name] = entry.slice(equals + 1)
  }
  return pairs
}
