import { BaleError } from '../errors.ts'

/** Parses `name=value` into labels or annotations. */
export function parseLabels(
  texts: readonly string[] | undefined,
  where = '--label',
): Record<string, string> | undefined {
  if (texts === undefined) return undefined
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf('=')
      if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)]
      throw new BaleError('usage', `${JSON.stringify(text)} is not NAME=VALUE`, { where, fix: 'write NAME=VALUE' })
    }),
  )
}
