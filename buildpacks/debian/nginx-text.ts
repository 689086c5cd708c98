/** Quotes a text as one word of nginx's configuration. It must not contain a `$`, which nginx cannot escape. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** Whether nginx can take a text literally: without variables, control characters or line ends. */
export function isPlain(text: string): boolean {
  return !/[$\x00-\x1f\x7f]/.test(text)
}
