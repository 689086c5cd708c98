import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import { readTrusted } from '../../files/read.ts'
import { readJson } from '../../spec/read.ts'

// expect.json: the expected results of building an application. docs/buildpacks.md says what each key means.

const text = v.string('it is not a string')
const regExp = v.pipe(text, v.check(isRegExp, 'it is not a regular expression'))
const status = v.pipe(
  v.number('it is not a number'),
  v.integer('it is not a whole number'),
  v.minValue(0, 'it is less than 0'),
)
const path = v.pipe(text, v.startsWith('/', 'it does not begin with /'))

/** Shared with test/apps, whose files have some more keys. */
export const expectationEntries = {
  env: v.optional(v.record(text, text, 'it is not a map of names to strings')),
  detect: v.optional(v.array(text, 'it is not a list of ids')),
  exit: v.optional(status),
  error: v.optional(regExp),
  log: v.optional(regExp),
  process: v.optional(text),
  http: v.optional(v.strictObject({ path, status, body: regExp })),
  run: v.optional(v.strictObject({ exit: status, output: regExp })),
  largest: v.optional(v.pipe(v.number('it is not a number'), v.minValue(1, 'it is less than 1'))),
  absent: v.optional(v.array(regExp, 'it is not a list of regular expressions')),
}
const schema = v.strictObject(expectationEntries)
export type Expectation = v.InferOutput<typeof schema>

export const expectationFile = 'expect.json'

function isRegExp(pattern: string): boolean {
  try {
    return RegExp(pattern) instanceof RegExp
  } catch {
    return false
  }
}

/**
 * Reads the expect.json of an application.
 * @throws BaleError 'arguments', which names the file and the key
 */
export async function readExpectation(dir: string): Promise<Expectation> {
  const file = join(dir, expectationFile)
  if ((await stat(dir).catch(() => undefined))?.isDirectory() !== true)
    throw new BaleError('arguments', 'there is no such directory', { where: dir, fix: 'correct its path' })
  const content = await readTrusted(file)
  if (content === undefined)
    throw new BaleError('arguments', 'the file with the expected results is missing', {
      where: file,
      fix: 'create it with the results that the build must have, such as {"run": {"exit": 0, "output": "hello"}}',
    })
  return parseExpectation(content, file)
}

export function parseExpectation(content: Uint8Array | string, file: string): Expectation {
  return parseAs(schema, content, file)
}

/** For schemas with more keys. @throws BaleError 'arguments' */
export function parseAs<T extends v.GenericSchema>(
  wanted: T,
  content: Uint8Array | string,
  file: string,
): v.InferOutput<T> {
  const result = v.safeParse(wanted, tableOf(content, file))
  if (result.success) return result.output
  const [issue] = result.issues
  const key = v.getDotPath(issue) ?? ''
  throw new BaleError('arguments', messageOf(issue), {
    where: `${file} ${key}`.trimEnd(),
    fix: 'docs/buildpacks.md lists the keys and their values',
  })
}

function messageOf({ type, expected, message }: v.BaseIssue<unknown>): string {
  if (type !== 'strict_object') return message
  if (expected === 'never') return 'there is no such key'
  return expected === 'Object' ? 'it is not an object' : 'it is missing'
}

function tableOf(content: Uint8Array | string, file: string): unknown {
  try {
    return readJson(content, file).table
  } catch (error) {
    if (!(error instanceof BaleError)) throw error
    const { message, where = file } = error
    throw new BaleError('arguments', message, { where, fix: 'write an object in JSON', cause: error })
  }
}
