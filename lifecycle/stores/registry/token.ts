import type { Credential } from '../credentials/credential.ts'
import type { Challenge } from './challenge.ts'
import { type Asker, failureAt, refusalAt } from './failures.ts'
import type { RegistryLimits } from './limits.ts'
import type { Reply } from './reply.ts'
import { Transient, retrying } from './retry.ts'
import { type Exchange, type HttpClient, readAll, readStart } from './http.ts'
import { type Secrets, escaped, redacted } from './redact.ts'

export interface TokenOptions {
  readonly http: HttpClient
  readonly secrets: Secrets
  readonly limits: RegistryLimits
  readonly userAgent: string
}

export interface TokenRequest {
  readonly challenge: Challenge
  /** The answer that contained the challenge. */
  readonly reply: Pick<Reply, 'method' | 'url'>
  readonly scopes: readonly string[]
  readonly credential: Exclude<Credential, { kind: 'registry-token' }> | undefined
  readonly asker: Asker
}

/** Gets a token and its lifetime in seconds from the token server (distribution "Token Authentication", "OAuth2"). */
export async function fetchToken(
  request: TokenRequest,
  options: TokenOptions,
  signal?: AbortSignal,
): Promise<{ token: string; seconds: number }> {
  const { http, secrets, limits } = options
  const server = tokenServer(request)
  const purpose = server.hostname === request.reply.url.hostname ? 'registry' : 'tokens'
  const question = { ...questionOf(request, server, options), purpose, signal } as const
  return retrying(
    async () => {
      const reply = await http.exchange(question)
      if (reply.status === 200) return parseToken(await readAll(reply, limits.token), reply, secrets)
      throw refusalAt(reply, await readStart(reply, limits.error), request.asker, secrets)
    },
    limits,
    signal,
  )
}

/** The request to a token server: a form for a refresh token, a query with a password or without credentials. */
function questionOf(
  { credential, scopes, challenge }: TokenRequest,
  server: URL,
  { secrets, userAgent }: TokenOptions,
): Pick<Exchange, 'method' | 'url' | 'headers' | 'body'> {
  const headers = { 'user-agent': userAgent, accept: 'application/json' }
  const service = challenge.parameters.get('service')
  if (credential?.kind !== 'identity-token') {
    const url = new URL(server)
    if (service !== undefined) url.searchParams.set('service', service)
    for (const scope of scopes) url.searchParams.append('scope', scope)
    const authorization = credential && { authorization: basicHeader(credential, secrets) }
    return { method: 'GET', url, headers: { ...headers, ...authorization } }
  }
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'bale',
    refresh_token: credential.token,
    ...(service !== undefined && { service }),
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  })
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return { method: 'POST', url: server, headers: { ...headers, ...type }, body: Buffer.from(form.toString()) }
}

export function basicHeader({ username, password }: { username: string; password: string }, secrets: Secrets): string {
  const encoded = Buffer.from(`${username}:${password}`).toString('base64')
  secrets.add(password, encoded)
  return `Basic ${encoded}`
}

/**
 * The token server that a registry names. A registry over https may name any https server: it proved its identity, and could
 * have asked for the password itself. A registry over http has proved nothing: Bale asks no other host, and another port of
 * the host, which may belong to another user of that machine, only without credentials (R10, R11). Addresses are
 * checked when connecting (http.ts).
 */
function tokenServer({ challenge, reply, asker, credential }: TokenRequest): URL {
  const realm = challenge.parameters.get('realm') ?? ''
  const url = URL.parse(realm)
  if (url === null)
    throw failureAt(reply, `the registry does not name a token server, but ${JSON.stringify(escaped(realm, 100))}`)
  const refuse = (why: string, fix?: string) =>
    failureAt(reply, `the registry names ${redacted(url)} as its token server, ${why}; Bale does not use it`, fix)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('which is neither https nor http')
  if (url.username !== '' || url.password !== '') throw refuse('with a user name in the URL')
  if (reply.url.protocol === 'https:' && url.protocol === 'http:') throw refuse('where others could read the password')
  if (reply.url.protocol === 'http:' && url.hostname !== reply.url.hostname) {
    throw refuse(`which is another host, and http does not prove that ${asker.registry} named it`)
  }
  if (reply.url.protocol === 'http:' && url.host !== reply.url.host && credential !== undefined) {
    throw refuse(
      `which is another port and would get the password, and http does not prove that ${asker.registry} named it`,
      'serve the registry over https, or its tokens at its own address',
    )
  }
  return url
}

/** @throws Transient for a truncated answer, BaleError for an answer without a token */
function parseToken(bytes: Buffer, reply: Reply, secrets: Secrets): { token: string; seconds: number } {
  let answer: Record<string, unknown> | null
  try {
    answer = JSON.parse(bytes.toString('utf8')) as typeof answer
  } catch {
    throw new Transient(failureAt(reply, 'the token server did not answer with JSON'))
  }
  const { token, access_token, expires_in } = answer ?? {}
  const found = [token, access_token].find(t => typeof t === 'string' && t !== '') as string | undefined
  if (found === undefined) throw failureAt(reply, 'the token server answered without a token')
  // The token goes into a header, where a line break would begin another header.
  if (!/^[\x21-\x7e]+$/.test(found)) throw failureAt(reply, 'the token server did not answer with a token')
  secrets.add(found)
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : 60
  return { token: found, seconds }
}
