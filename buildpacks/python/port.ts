/**
 * The digits of the port in the only call of a server in a source; empty if the call has no port. undefined if the port is only known
 * at run time, from an option or a variable, or if there is not exactly one call.
 * @param call matches the call up to its parenthesis
 * @param position the index of the port among the positional arguments
 */
export function portOfCall(source: string, call: RegExp, position?: number): string | undefined {
  const [only, ...others] = source.matchAll(new RegExp(call, 'g'))
  if (only === undefined || others.length > 0) return undefined
  const given = argumentsOf(source.slice(only.index + only[0].length))
  if (given === undefined || given.some(argument => argument.startsWith('*'))) return undefined
  const named = given.find(argument => /^port\s*=/.test(argument))?.replace(/^port\s*=\s*/, '')
  const value = named ?? given.filter(argument => !/^\w+\s*=(?!=)/.test(argument))[position ?? -1]
  return value === undefined ? '' : (numberIn(value) ?? constant(source, value))
}

/**
 * The same for a server whose port is a setting: `'server.socket_port': 8080`.
 * @param call matches the call that starts the server
 */
export function portOfSetting(source: string, call: RegExp, setting: string): string | undefined {
  if (!call.test(source)) return undefined
  const [first, ...others] = source.matchAll(new RegExp(`\\b${setting}\\b['"]?\\s*[:=](?!=)([^,}#\\n]*)`, 'g'))
  if (others.length > 0) return undefined
  const value = first?.[1]?.trim()
  return value === undefined ? '' : (numberIn(value) ?? constant(source, value))
}

/** The arguments of a call, from after its opening parenthesis to the closing one; undefined if that is missing. */
function argumentsOf(source: string): string[] | undefined {
  const tokens = /"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#.*|[^]/g
  const given = ['']
  let depth = 0
  for (const [token] of source.matchAll(tokens)) {
    if (token.startsWith('#')) continue
    if (depth === 0 && token === ')') return given.map(argument => argument.trim()).filter(argument => argument !== '')
    if ('([{'.includes(token)) depth++
    if (')]}'.includes(token)) depth--
    if (depth === 0 && token === ',') given.push('')
    else given.push(`${given.pop()}${token}`)
  }
  return undefined
}

/** The number that a module assigns to a name exactly once: `PORT = 8888`. */
function constant(source: string, name: string): string | undefined {
  if (!/^[A-Za-z_]\w*$/.test(name)) return undefined
  const assigned = source.matchAll(new RegExp(`^(\\s*)${name}\\s*(?::\\s*int\\s*)?=(?!=)(.*)$`, 'gm'))
  const [[, indent, value = ''] = [], ...others] = assigned
  return indent === '' && others.length === 0 ? numberIn(value.replace(/#.*/, '').trim()) : undefined
}

function numberIn(value: string): string | undefined {
  return /^(['"]?)(\d+)\1$/.exec(value)?.[2]
}
