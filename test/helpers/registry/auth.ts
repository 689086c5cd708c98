import { randomBytes } from 'node:crypto'
import { type Answer, type Recorded, errorAnswer } from './shelf.ts'

export interface AuthOptions {
  /** Basic, or a token from `<url>/token` (distribution "Token Authentication Specification"). */
  scheme: 'basic' | 'bearer'
  username: string
  password: string
  /** An OAuth2 refresh token that is taken as well. */
  identityToken?: string
  /** A bearer token that is taken without being asked for. */
  registryToken?: string
  /** Anybody may read. */
  publicRead?: boolean
  /** How long a token is valid; 300 unless told. */
  tokenSeconds?: number
  /** Does not say which scope a request needs. */
  terse?: boolean
  /** Where tokens are had, if not here. */
  realm?: string
}

interface Token {
  readonly scopes: Set<string>
  readonly expires: number
}

/** Lets requests in, or tells them how to get in. */
export class Gatekeeper {
  readonly #options: AuthOptions
  readonly #url: string
  readonly #tokens = new Map<string, Token>()

  constructor(options: AuthOptions, url: string) {
    this.#options = options
    this.#url = url
  }

  /** The 401 for a request that may not pass. */
  refusal(request: Recorded): Answer | undefined {
    if (request.url.pathname === '/token') return undefined
    const wanted = scopesOf(request)
    const header = request.headers.authorization ?? ''
    if (this.#options.scheme === 'basic') {
      const free = this.#options.publicRead && wanted.every(s => s.endsWith(':pull'))
      if (free || this.#isBasic(header)) return undefined
      return errorAnswer(401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': 'Basic realm="fake"' })
    }
    const token = header.replace(/^Bearer /, '')
    if (token === this.#options.registryToken) return undefined
    const known = this.#tokens.get(token)
    const valid = known !== undefined && known.expires > performance.now()
    if (valid && wanted.every(scope => known.scopes.has(scope))) return undefined
    const challenge = [
      `Bearer realm="${this.#options.realm ?? `${this.#url}/token`}"`,
      'service="fake"',
      ...(wanted.length > 0 && !this.#options.terse ? [`scope="${joined(wanted)}"`] : []),
      ...(known ? [`error="${valid ? 'insufficient_scope' : 'invalid_token'}"`] : []),
    ]
    return errorAnswer(401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': challenge.join(',') })
  }

  /** Takes none of the tokens that were given out. */
  expire(): void {
    this.#tokens.clear()
  }

  /** The answer of the token endpoint, if the request is for that. */
  token(request: Recorded): Answer | undefined {
    if (request.url.pathname !== '/token') return undefined
    const form = request.method === 'POST' ? new URLSearchParams(request.body.toString()) : request.url.searchParams
    const refresh = form.get('refresh_token')
    const header = request.headers.authorization
    const known =
      refresh === null ? header !== undefined && this.#isBasic(header) : refresh === this.#options.identityToken
    if (!known && (header !== undefined || refresh !== null)) return errorAnswer(401, 'UNAUTHORIZED', 'wrong password')
    const asked = form
      .getAll('scope')
      .flatMap(text => text.split(' '))
      .flatMap(single)
    const granted = asked.filter(scope => known || (this.#options.publicRead && scope.endsWith(':pull')))
    const token = randomBytes(12).toString('hex')
    const seconds = this.#options.tokenSeconds ?? 300
    this.#tokens.set(token, { scopes: new Set(granted), expires: performance.now() + seconds * 1000 })
    const body = JSON.stringify({ [request.method === 'POST' ? 'access_token' : 'token']: token, expires_in: seconds })
    return { status: 200, headers: { 'content-type': 'application/json' }, body }
  }

  #isBasic(header: string): boolean {
    const { username, password } = this.#options
    return header === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }
}

/** What a request needs, one action each: `repository:app:pull`. */
function scopesOf({ method, url }: Recorded): string[] {
  const repository = /^\/v2\/(.+?)\/(?:manifests|blobs|tags)\//.exec(url.pathname)?.[1]
  if (repository === undefined) return []
  const from = url.searchParams.get('from')
  const actions = method === 'GET' || method === 'HEAD' ? ['pull'] : ['pull', 'push']
  return [...actions.map(a => `repository:${repository}:${a}`), ...(from === null ? [] : [`repository:${from}:pull`])]
}

/** `repository:app:pull,push` as its single actions. */
function single(scope: string): string[] {
  const at = scope.lastIndexOf(':')
  return scope
    .slice(at + 1)
    .split(',')
    .map(action => `${scope.slice(0, at)}:${action}`)
}

/** The single actions as a challenge writes them: `repository:app:pull,push repository:base:pull`. */
function joined(scopes: string[]): string {
  const byName = Map.groupBy(scopes, scope => scope.slice(0, scope.lastIndexOf(':')))
  return [...byName].map(([name, all]) => `${name}:${all.map(s => s.slice(name.length + 1)).join(',')}`).join(' ')
}
