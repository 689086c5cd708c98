/** A text as one word of nginx's configuration. It must not have a `$`, which nginx has no way to write. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** A text as nginx may take it: without variables, control characters or line ends. */
export function isPlain(text: string): boolean {
  return !/[$\x00-\x1f\x7f]/.test(text)
}
