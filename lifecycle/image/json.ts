import { BaleError } from '../errors.ts'

/** Documents about images are nested less deeply. JSON in labels counts as text. */
const maxDepth = 64

/**
 * Parses a JSON document from a registry, a layout or a daemon, as strictly as RFC 8259 allows: UTF-8 without a
 * byte order mark, no duplicate keys. All programs that read a digest must see the same image, but parsers differ in
 * which of two equal keys they take (R32).
 */
export function parseJson(bytes: Uint8Array, where: string): unknown {
  const bad = (why: string, cause?: unknown) => new BaleError('input', why, { where, cause })
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw bad('is not UTF-8', cause)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // V8's message is left out: it quotes the document, which may contain secrets.
    throw bad(text.trim() === '' ? 'is empty' : 'is not JSON')
  }
  const problem = problemOfKeys(text)
  if (problem !== undefined) throw bad(problem)
  return value
}

/** The fault in the nesting or the keys of a valid JSON text, if there is one. */
function problemOfKeys(text: string): string | undefined {
  // For each open object, its keys so far. For each open array, undefined.
  const open: (Set<string> | undefined)[] = []
  let keyComes = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      if (keyComes) {
        const key = JSON.parse(text.slice(at, end + 1)) as string
        const keys = open.at(-1)
        if (keys?.has(key)) return `has the key ${JSON.stringify(key.slice(0, 100))} twice in one object`
        keys?.add(key)
        keyComes = false
      }
      at = end
    } else if (character === '{' || character === '[') {
      if (open.push(character === '{' ? new Set() : undefined) > maxDepth) return `is nested deeper than ${maxDepth}`
      keyComes = character === '{'
    } else if (character === '}' || character === ']') {
      open.pop()
      keyComes = false
    } else if (character === ',') {
      keyComes = open.at(-1) !== undefined
    }
  }
  return undefined
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
}
