import type { Reporter } from '../events.ts'
import { Mask } from './mask.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The proxy variables of the caller, for buildpacks. No other variable of the caller reaches them. */
export function proxiesOf(environment: Environment): Record<string, string> {
  const isProxy = (e: [string, string | undefined]): e is [string, string] =>
    e[1] !== undefined && /^(https?|no|all)_proxy$/i.test(e[0])
  return Object.fromEntries(Object.entries(environment).filter(isProxy))
}

/**
 * Masks the passwords of proxy variables in the output of buildpacks and their tools (K16): the password itself, its form
 * in the URL, and user and password in the form of Proxy-Authorization.
 */
export function maskPasswords(environment: Environment): Mask {
  const passwords = Object.entries(proxiesOf(environment)).flatMap(([id, value]) => {
    const { username, password } = loginOf(value)
    const texts = password === '' ? [] : [decoded(password), password, `${decoded(username)}:${decoded(password)}`]
    return texts.map(text => ({ id, value: Buffer.from(text) }))
  })
  return new Mask(passwords)
}

/**
 * Warns that buildpacks get the password of a proxy, since they cannot use the proxy without it.
 * @param instead the user's alternative
 */
export function warnOfPasswords(proxies: Readonly<Record<string, string>>, reporter: Reporter, instead?: string): void {
  const names = Object.keys(proxies).filter(name => loginOf(proxies[name] ?? '').password !== '')
  if (names.length === 0) return
  reporter.event({
    type: 'warning',
    text: `buildpacks and the install scripts of dependencies can read the password in ${names.join(' and ')}`,
    fix: ['use a proxy on this machine that logs in to that proxy', instead].filter(Boolean).join(', or '),
  })
}

/** Returns user and password in their URL form. curl permits values without a scheme. */
function loginOf(value: string): { readonly username: string; readonly password: string } {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`)
  if (url !== null) return url
  // The value is not a URL, but a tool may accept it.
  const [, username = '', password = ''] = /^(?:[^/]*:\/\/)?([^:@/]*):(.*)@[^@]*$/s.exec(value) ?? []
  return { username, password }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
