/**
 * A file name in the kernel's form: bytes without an encoding, one character (0–255) for each byte. Such strings compare in byte
 * order, serve as keys, and preserve names that are not UTF-8. Convert with Latin-1 in both directions.
 */
export type ByteString = string

export const toBytes = (text: string): ByteString => Buffer.from(text, 'utf8').toString('latin1')
export const fromBuffer = (name: Buffer): ByteString => name.toString('latin1')
export const toBuffer = (bytes: ByteString): Buffer => Buffer.from(bytes, 'latin1')

const utf8 = new TextDecoder('utf-8', { fatal: true })
const maxShown = 300

/**
 * Formats a name for a message. Escapes control characters and bytes that are not UTF-8, so that a file's name can neither
 * forge log lines nor control a terminal. Shortens a very long name in the middle.
 */
export function printableName(name: ByteString): string {
  let text: string
  try {
    text = utf8.decode(toBuffer(name))
  } catch {
    text = name.replace(/[\x80-\xff]/g, escapeByte)
  }
  const safe = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escapeCharacter)
  return safe.length <= maxShown ? safe : `${safe.slice(0, maxShown / 2)}…${safe.slice(-maxShown / 2)}`
}

const escapeByte = (c: string): string => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`

function escapeCharacter(c: string): string {
  if (c === '\n') return '\\n'
  if (c === '\t') return '\\t'
  return c.charCodeAt(0) < 256 ? escapeByte(c) : `\\u${c.charCodeAt(0).toString(16)}`
}
