/** A version as numbers: `8.4.28` is [8, 4, 28]. */
export type Numbers = readonly [number, number, number]

/** Whether a version satisfies a constraint. */
export type Constraint = (version: Numbers) => boolean

const at = (parts: readonly number[]): Numbers => [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0]

function compare(a: Numbers, b: Numbers): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}

/** The numbers of a release: `8.4.28`, `v8.4`. A suffix such as `-dev` is ignored. */
export function numbersOf(version: string): Numbers | undefined {
  const digits = /^v?(\d{1,6}(?:\.\d{1,6}){0,2})(?![\d.]*\.?\d{7})/.exec(version.trim())?.[1]
  return digits === undefined ? undefined : at(digits.split('.').map(Number))
}

/**
 * Parses a constraint in Composer's syntax (getcomposer.org, "Versions and constraints"): `^8.2`, `~8.3.0`, `>=8.1 <8.5`, `8.*`, `8.1 -
 * 8.4`, with `||` between alternatives and a comma or a blank for "and".
 * @returns undefined for an invalid constraint
 */
export function parseConstraint(text: string): Constraint | undefined {
  const alternatives = text.split(/\|\|?/).map(each => parseAll(each.trim()))
  const known = alternatives.filter(each => each !== undefined)
  return known.length < alternatives.length ? undefined : version => known.some(meets => meets(version))
}

function parseAll(text: string): Constraint | undefined {
  if (text === '') return undefined
  const [, low, high] = /^(\S+)\s+-\s+(\S+)$/.exec(text) ?? []
  if (low !== undefined && high !== undefined) return between(low, high)
  const clauses = text
    .replaceAll(/([<>=!~^]=?|<>)\s+/g, '$1')
    .split(/[\s,]+/)
    .filter(clause => clause !== '')
  const parsed = clauses.map(parseClause)
  const known = parsed.filter(each => each !== undefined)
  return known.length < parsed.length || known.length === 0
    ? undefined
    : version => known.every(meets => meets(version))
}

function parseClause(clause: string): Constraint | undefined {
  // A stability flag says nothing about a release: `>=8.2@dev`, `8.4.*@stable`.
  const plain = clause.replace(/@(?:dev|alpha|beta|rc|stable)$/i, '')
  if (/^[*x]$/i.test(plain) || plain === '') return () => true
  const [, operator = '', digits = '', wild] =
    /^(\^|~|>=|<=|==|!=|<>|>|<|=|)v?(\d{1,6}(?:\.\d{1,6}){0,3})((?:\.[*x])*)(?:[-.+]?(?:dev|alpha|beta|rc|stable|p|pl)\.?\d*)?$/i.exec(
      plain,
    ) ?? []
  if (digits === '') return undefined
  const parts = digits.split('.').map(Number)
  const from = at(parts)
  if (wild !== '')
    return operator === '' || operator === '=' || operator === '==' ? upTo(from, parts.length - 1) : undefined
  switch (operator) {
    case '^':
      // Below 1.0 a minor version may break things.
      return upTo(from, parts[0] === 0 ? Math.min(1, parts.length - 1) : 0)
    case '~':
      return upTo(from, Math.max(0, parts.length - 2))
    case '>=':
      return version => compare(version, from) >= 0
    case '<=':
      return version => compare(version, from) <= 0
    case '>':
      return version => compare(version, from) > 0
    case '<':
      return version => compare(version, from) < 0
    case '!=':
    case '<>':
      return version => compare(version, from) !== 0
    default:
      return version => compare(version, from) === 0
  }
}

/** At least `from`, and equal to it up to the part `fixed`. */
function upTo(from: Numbers, fixed: number): Constraint {
  return version => compare(version, from) >= 0 && from.slice(0, fixed + 1).every((part, i) => part === version[i])
}

/** `8.1 - 8.4`: an incomplete end includes all of its releases. */
function between(low: string, high: string): Constraint | undefined {
  const [from, to] = [numbersOf(low), numbersOf(high)]
  if (from === undefined || to === undefined) return undefined
  const parts = high.replace(/^v/, '').split('.').length
  const isBelow: Constraint =
    parts >= 3 ? version => compare(version, to) <= 0 : version => compare(at(version.slice(0, parts)), to) <= 0
  return version => compare(version, from) >= 0 && isBelow(version)
}
