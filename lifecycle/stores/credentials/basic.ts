import type { Credential } from './credential.ts'

/** Decodes `user:password` in Base64; undefined for anything else (RFC 7617: the first colon ends the user). */
export function decodeBasic(base64: string): Extract<Credential, { kind: 'password' }> | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  // Docker pads stored values with NUL bytes.
  const text = Buffer.from(base64, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  if (colon < 0 || text.includes('\ufffd')) return undefined
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
