export interface Proxy {
  readonly protocol: 'http' | 'https'
  readonly host: string
  readonly port: string
  readonly username: string
  readonly password: string
  /** Hosts that are reached without the proxy, in Java's notation: `localhost|*.corp`. */
  readonly nonProxyHosts: string
}

/** The proxies in environment variables, which Java's tools do not read. */
export function proxiesOf(env: Readonly<Record<string, string>>): Proxy[] {
  const value = (name: string): string => env[name] ?? env[name.toUpperCase()] ?? ''
  const none = value('no_proxy')
    .split(/[,\s]+/)
    .filter(Boolean)
    .map(host => host.replace(/^\*?\./, '*.'))
  return (['http', 'https'] as const).flatMap(protocol => {
    const text = value(`${protocol}_proxy`)
    if (text === '' || !URL.canParse(text)) return []
    const url = new URL(text)
    return {
      protocol,
      host: url.hostname,
      port: url.port || (url.protocol === 'https:' ? '443' : '80'),
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      nonProxyHosts: none.join('|'),
    }
  })
}

/** Options for tools that read a proxy only from Java's properties. */
export function proxyOptions(env: Readonly<Record<string, string>>): string[] {
  return proxiesOf(env).flatMap(({ protocol, host, port, username, password, nonProxyHosts }) => {
    const option = (name: string, value: string) => (value === '' ? [] : [`-D${name}=${value}`])
    return [
      ...option(`${protocol}.proxyHost`, host),
      ...option(`${protocol}.proxyPort`, port),
      ...option(`${protocol}.proxyUser`, username),
      ...option(`${protocol}.proxyPassword`, password),
      ...option('http.nonProxyHosts', nonProxyHosts),
    ]
  })
}
