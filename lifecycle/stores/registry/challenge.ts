/** A challenge of a 401 answer (RFC 9110, section 11.6.1). Parameter names are in lower case. */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer'
  readonly parameters: ReadonlyMap<string, string>
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const quoted = /"((?:[^"\\]|\\.)*)"/sy
const blanks = /[ \t]*/y
/** The form that other schemes, such as Negotiate, use in place of parameters. */
const token68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y

/**
 * The Basic and Bearer challenges of WWW-Authenticate headers, in order. For a malformed header, the challenges before the fault.
 */
export function parseChallenges(headers: readonly string[]): Challenge[] {
  return headers
    .flatMap(header => parseHeader(header.slice(0, 16_384)))
    .flatMap(({ scheme, parameters }) => {
      if (scheme === 'basic' || scheme === 'bearer') return [{ scheme, parameters }]
      return []
    })
}

function parseHeader(text: string): { scheme: string; parameters: Map<string, string> }[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  while (at < text.length) {
    take(blanks)
    if (text[at] === ',') {
      at++
      continue
    }
    const name = take(token)?.[0].toLowerCase()
    if (name === undefined) return found
    take(blanks)
    // A name before `=` is a parameter of the preceding challenge. Any other name begins a challenge.
    if (text[at] !== '=') {
      found.push({ scheme: name, parameters: new Map() })
      take(token68)
      continue
    }
    at++
    take(blanks)
    const value = take(quoted)?.[1]?.replace(/\\(.)/gs, '$1') ?? take(token)?.[0]
    if (value === undefined) return found
    found.at(-1)?.parameters.set(name, value)
  }
  return found
}
