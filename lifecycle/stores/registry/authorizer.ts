import { BaleError } from '../../errors.ts'
import type { Credentials } from '../credentials.ts'
import type { Credential } from '../credentials/credential.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Asker } from './failures.ts'
import type { Reply } from './reply.ts'
import { type TokenOptions, basicHeader, fetchToken } from './token.ts'

/** The access that a request needs, and the key for caching tokens. */
export interface Access {
  readonly repository: string
  readonly action: 'pull' | 'push' | 'delete'
  /** A repository to mount a blob from, which needs read access. */
  readonly mountFrom?: string
}

export interface AuthorizerOptions extends TokenOptions {
  /** The name in credentials: `index.docker.io`. */
  readonly registry: string
  readonly credentials: Credentials
  readonly unusedLogin?: string | undefined
}

interface Token {
  readonly header: string
  /** Time of expiry on the clock of performance.now(). */
  readonly expires: number
  /** The challenge that the token answers, for getting the next token. */
  readonly challenge: Challenge
  readonly reply: Pick<Reply, 'method' | 'url'>
}

/**
 * Provides the Authorization header for each request to the registry: none until the registry asks, then Basic or a token, as the
 * registry asks (distribution "Token Authentication"). Credentials go only to the registry itself and to the token server that it names,
 * if that may be trusted (token.ts).
 */
export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #tokens = new Map<string, Promise<Token>>()
  /** The header for each repository, since credentials may differ: Basic, or the user's token. */
  readonly #headers = new Map<string, string>()
  /** Repositories that there are credentials for. */
  readonly #known = new Set<string>()

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  /** Describes the sender of such a request, as far as the registry has asked for credentials. */
  asker({ repository }: Access): Asker {
    const { registry, unusedLogin } = this.#options
    return { registry, known: this.#known.has(repository), unusedLogin }
  }

  /** The header for a first attempt; undefined while the registry has not asked for one. */
  async header(access: Access, signal?: AbortSignal): Promise<string | undefined> {
    const token = await this.#tokens.get(keyOf(access))
    if (token === undefined) return this.#headers.get(access.repository)
    if (token.expires > performance.now()) return token.header
    return this.#renew(token, access, token.header, signal)
  }

  /**
   * The header to try after a 401.
   * @param sent the header that the registry refused
   * @returns undefined if there is no other header to try: the 401 is final
   */
  async answer(
    reply: Reply,
    access: Access,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(reply.header('www-authenticate'))
    const challenge = challenges.find(c => c.scheme === 'bearer') ?? challenges[0]
    const credential = await this.#credential(access, signal)
    if (credential?.kind === 'registry-token') return this.#once(access, `Bearer ${credential.token}`, sent)
    if (challenge?.scheme === 'bearer') return this.#renew({ challenge, reply }, access, sent, signal)
    if (challenge === undefined || credential === undefined) return undefined
    if (credential.kind === 'password') return this.#once(access, basicHeader(credential, this.#options.secrets), sent)
    const { registry } = this.#options
    throw new BaleError('credentials', `${registry} requires a password, but the stored credential is a token`, {
      where: reply.url.host,
      fix: `run docker login ${registry}`,
    })
  }

  #once({ repository }: Access, header: string, sent: string | undefined): string | undefined {
    this.#headers.set(repository, header)
    return sent === header ? undefined : header
  }

  async #credential({ repository }: Access, signal?: AbortSignal): Promise<Credential | undefined> {
    const { registry, credentials, secrets } = this.#options
    const credential = await credentials.find(`${registry}/${repository}`, signal)
    if (credential !== undefined) {
      this.#known.add(repository)
      secrets.add(credential.kind === 'password' ? credential.password : credential.token)
    }
    return credential
  }

  /** A token other than the `sent` one. Requests that need the same token share one request for it. */
  async #renew(
    { challenge, reply }: Pick<Token, 'challenge' | 'reply'>,
    access: Access,
    sent: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const key = keyOf(access)
    const current = await this.#tokens.get(key)
    if (current !== undefined && current.header !== sent && current.expires > performance.now()) return current.header
    const fetching = this.#fetch(challenge, reply, access, signal)
    this.#tokens.set(key, fetching)
    fetching.catch(() => this.#tokens.delete(key))
    return (await fetching).header
  }

  async #fetch(challenge: Challenge, reply: Token['reply'], access: Access, signal?: AbortSignal): Promise<Token> {
    const credential = await this.#credential(access, signal)
    if (credential?.kind === 'registry-token') throw new TypeError('a registry token is not exchanged')
    const asked = performance.now()
    const scopes = scopesOf(challenge, access)
    const request = { challenge, reply, scopes, credential, asker: this.asker(access) }
    const { token, seconds } = await fetchToken(request, this.#options, signal)
    // Leaves time for the way, during which the token gets older.
    const life = Math.min(seconds, 86_400) - Math.min(10, seconds / 5)
    return { header: `Bearer ${token}`, expires: asked + life * 1000, challenge, reply }
  }
}

/** The actions to request for a token (distribution's "Token Scope Documentation"). */
const actions = { pull: 'pull', push: 'pull,push', delete: 'pull,delete' } as const

/**
 * The scopes to request. A challenge's own scope takes precedence, since registries name repositories in their own way. A request
 * that only reads, before an upload, gets the upload's token: one token serves for both.
 */
function scopesOf(challenge: Challenge, { repository, action, mountFrom }: Access): string[] {
  const named = (challenge.parameters.get('scope') ?? '').split(' ').filter(scope => scope !== '')
  const [only = `repository:${repository}:${actions[action]}`] = named
  const own = named.length > 1 ? named : [only.replace(/:pull$/, `:${actions[action]}`)]
  return [...new Set([...own, ...(mountFrom === undefined ? [] : [`repository:${mountFrom}:pull`])])]
}

const keyOf = ({ repository, action, mountFrom = '' }: Access): string => `${repository} ${action} ${mountFrom}`
