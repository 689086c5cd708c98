/** Decodes a user's text by its byte order mark, which editors and shells on Windows write (S19). Without a mark, as UTF-8. */
export function textOf(bytes: Uint8Array): string {
  const text = fromUtf16(bytes)
  return typeof text === 'string' ? text : new TextDecoder().decode(text)
}

/** Decodes bytes with the mark of UTF-16. Returns other bytes unchanged, for readers that require valid UTF-8. */
export function fromUtf16(bytes: Uint8Array): Uint8Array | string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  return bytes
}
