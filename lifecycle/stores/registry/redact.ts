/** Query parameters that are shown. All others may be signatures, tokens or sessions. */
const openParameters = ['digest', 'mount', 'from', 'service', 'scope', 'n', 'last']

/** A URL for messages, without user, password, fragment, and parameters that may be secrets. */
export function redacted(url: URL): string {
  const shown = openParameters.flatMap(name => url.searchParams.getAll(name).map(value => `${name}=${value}`))
  const hidden = [...url.searchParams.keys()].some(key => !openParameters.includes(key))
  const query = [...shown, ...(hidden ? ['…'] : [])].join('&')
  return escaped(`${url.protocol}//${url.host}${url.pathname}${query && `?${query}`}`, 500)
}

/**
 * Foreign text for a message. Escapes control characters and direction marks, so that the text can neither forge log lines nor
 * control a terminal, and cuts it to `most` characters.
 */
export function escaped(text: string, most = 300): string {
  const safe = text
    .slice(0, most)
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, character => {
      const code = character.charCodeAt(0).toString(16)
      return `\\u${code.padStart(4, '0')}`
    })
  return text.length > most ? `${safe}…` : safe
}

/**
 * Hides secrets that a server repeats in its messages. Short secrets are not hidden, since they would also match innocent text.
 */
export class Secrets {
  readonly #known = new Set<string>()

  add(...secrets: string[]): void {
    for (const secret of secrets) if (secret.length >= 4) this.#known.add(secret)
  }

  hide(text: string): string {
    let hidden = text
    for (const secret of this.#known) hidden = hidden.replaceAll(secret, '***')
    return hidden
  }
}
