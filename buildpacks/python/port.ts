/**
 * The port that the only call of a server in a source names: its digits; nothing where the call names none. undefined where the
 * port is known when the program runs, from an option or a variable, and where there is another call or none.
 * @param call matches the call up to its parenthesis
 * @param position where the port is among the arguments without a name
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

/** The arguments of a call, from behind its opening parenthesis to the closing one; undefined if that is missing. */
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

/** The number that a module gives to a name, once and for all: `PORT = 8888`. */
function constant(source: string, name: string): string | undefined {
  if (!/^[A-Za-z_]\w*$/.test(name)) return undefined
  const assigned = source.matchAll(new RegExp(`^(\\s*)${name}\\s*(?::\\s*int\\s*)?=(?!=)(.*)$`, 'gm'))
  const [[, indent, value = ''] = [], ...others] = assigned
  return indent === '' && others.length === 0 ? numberIn(value.replace(/#.*/, '').trim()) : undefined
}

function numberIn(value: string): string | undefined {
  return /^(['"]?)(\d+)\1$/.exec(value)?.[2]
}
