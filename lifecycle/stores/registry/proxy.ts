import { BaleError } from '../../errors.ts'

/** Proxies as URLs, and the hosts that are reached without one. */
export interface ProxySettings {
  readonly http?: string
  readonly https?: string
  /** Comma-separated. */
  readonly no?: string
}

/** Reads the same variables as curl and Go. Lower case takes precedence, as in curl. */
export function proxySettings(environment: Readonly<Record<string, string | undefined>>): ProxySettings {
  const value = (name: string) => environment[name] || environment[name.toUpperCase()] || undefined
  return { http: value('http_proxy'), https: value('https_proxy'), no: value('no_proxy') }
}

/** The URL of a proxy; empty for none. @throws BaleError, which does not show the URL, since it may contain a password */
export function proxyUrl(text = ''): string {
  if (text === '') return ''
  // curl permits values without a scheme.
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url !== null && /^(https?|socks5?):$/.test(url.protocol)) return url.href
  throw new BaleError('arguments', 'the URL of the proxy in HTTP_PROXY or HTTPS_PROXY is invalid', {
    fix: 'write http://host:port or http://user:password@host:port',
  })
}
