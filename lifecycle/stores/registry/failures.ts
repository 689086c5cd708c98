import { BaleError } from '../../errors.ts'
import { dockerHub } from '../../image/reference.ts'
import { parseChallenges } from './challenge.ts'
import type { Reply } from './reply.ts'
import { Transient, parseRetryAfter } from './retry.ts'
import { type Secrets, escaped, redacted } from './redact.ts'

export interface Request {
  readonly method: string
  readonly url: URL
}

/** The failure of this request, as shown to the user: `GET https://host/v2/…: the connection was reset`. */
export function failureAt(request: Request, message: string, fix?: string, cause?: unknown): BaleError {
  return new BaleError('registry', message, { where: `${request.method} ${redacted(request.url)}`, fix, cause })
}

/** Statuses of temporary failures, after which another attempt may succeed (RFC 9110; 52x are Cloudflare's). */
const passing = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]

/** The sender of a request, for the advice in an error. */
export interface Asker {
  /** The user's name for it: `index.docker.io`, `localhost:5000`. */
  readonly registry: string
  /** Whether there are credentials for the registry. */
  readonly known: boolean
  /** The command that would log in with credentials from the job's variables. */
  readonly unusedLogin?: string | undefined
}

/**
 * The error for an unexpected status; a Transient if another attempt may succeed.
 * @param body the start of the answer's body
 */
export function refusalAt(reply: Reply, body: Uint8Array, asker: Asker, secrets: Secrets): BaleError | Transient {
  const { status } = reply
  const words = secrets.hide(wordsOf(body, reply.header('content-type')[0] ?? ''))
  const wait = parseRetryAfter(reply.header('retry-after')[0], Date.now())
  const later = wait === undefined ? '' : `; it allows the next request in ${Math.ceil(wait / 1000)} s`
  const mute = status === 401 && parseChallenges(reply.header('www-authenticate')).length === 0
  const how = mute ? ' without a usable way to log in' : ''
  const failure = failureAt(
    reply,
    `the registry answered ${status}${how}${words && `: ${words}`}${later}`,
    fixOf(reply, asker),
  )
  return passing.includes(status) ? new Transient(failure, { retryAfter: wait, status }) : failure
}

/** The registry's own message, in the format of the distribution spec ("Error Codes") or in plain text. */
function wordsOf(body: Uint8Array, contentType: string): string {
  const text = new TextDecoder().decode(body).trim()
  try {
    const { errors, details, message, error } = JSON.parse(text) as Record<string, unknown>
    if (Array.isArray(errors)) {
      const all = errors as ({ code?: unknown; message?: unknown } | null)[]
      return escaped([...new Set(all.slice(0, 5).map(e => said(e?.code, e?.message)))].join('; '))
    }
    return escaped(said(error, details ?? message))
  } catch {
    return /^text\/plain/i.test(contentType) ? escaped(text.split('\n', 1)[0] ?? '', 200) : ''
  }
}

const said = (...parts: unknown[]): string => parts.filter(p => typeof p === 'string' && p !== '').join(': ')

const proxyFix = 'put user and password into the URL of the proxy: HTTPS_PROXY=http://user:password@host:port'

function fixOf({ method, status }: { method: string; status: number }, asker: Asker): string | undefined {
  const host = asker.registry === dockerHub ? 'docker.io' : asker.registry
  const { unusedLogin } = asker
  const login =
    unusedLogin === undefined
      ? `run docker login ${host} or set CNB_REGISTRY_AUTH`
      : `log in with the credentials in the variables of this job: ${unusedLogin}`
  switch (status) {
    case 401:
      return asker.known ? `log in again: docker login ${host}` : login
    case 403:
      return asker.known
        ? `give this account access to the repository, or log in with another account: docker login ${host}`
        : login
    case 404:
      if (method === 'GET') return 'push the image again: a part of it is missing'
      return 'check the name of the repository, and whether it must be created first'
    case 407:
      return proxyFix
    case 413:
      return 'raise the upload limit of the registry, or of the proxy in front of it'
    case 429:
      return asker.known ? 'try again later' : `try again later; a login may raise the limit: ${login}`
    default:
      return status >= 500 ? 'try again later' : undefined
  }
}

/** The meaning of the operating system's and undici's error codes, and whether another attempt may succeed. */
const networkWords: Record<string, readonly [words: string, again: boolean, fix?: string]> = {
  ENOTFOUND: ['the host does not exist', false, 'check the name of the registry'],
  EAI_AGAIN: ['the host name could not be resolved', true, 'check the network'],
  ECONNREFUSED: ['no server listens there', true, 'check that the registry runs, and its port'],
  EHOSTUNREACH: ['the host is unreachable', true, 'check the network'],
  ENETUNREACH: ['the network is unreachable', true, 'check the network'],
  ECONNRESET: ['the connection was reset', true],
  EPIPE: ['the connection was closed', true],
  ETIMEDOUT: ['the connection timed out', true],
  UND_ERR_SOCKET: ['the connection was closed', true],
  UND_ERR_CONNECT_TIMEOUT: [
    'the connection could not be made in time',
    true,
    'check the network, and HTTPS_PROXY if there is one',
  ],
  UND_ERR_HEADERS_TIMEOUT: ['no answer came in time', true],
  UND_ERR_BODY_TIMEOUT: ['the answer stopped', true],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['the length of the answer does not match its header', true],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    'the server does not use TLS on this port',
    false,
    'use its https port, or add a registry without TLS to CNB_INSECURE_REGISTRIES',
  ],
  UND_ERR_HEADERS_OVERFLOW: ['the headers of the answer are too long', false],
}

/** The error for a request without an answer. */
export function networkFailure(request: Request, error: unknown): BaleError | Transient {
  if (error instanceof BaleError || error instanceof Transient) return error
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  // undici has no codes for failures of a proxy.
  const proxy = /Proxy (?:response|Authentication Required) \((\d+)\)/.exec(message)?.[1]
  if (proxy !== undefined) return failureAt(request, `the proxy answered ${proxy}`, proxyFix)
  const known = networkWords[code]
  if (known !== undefined) {
    const [words, again, fix] = known
    const failure = failureAt(request, `${words} (${code})`, fix, error)
    return again ? new Transient(failure) : failure
  }
  if (isCertificateError(error)) {
    return failureAt(
      request,
      `the certificate is not trusted: ${escaped(message)} (${code})`,
      'make the registry use a valid certificate, or trust its CA with SSL_CERT_FILE',
      error,
    )
  }
  return failureAt(request, `${escaped(message)}${code && ` (${code})`}`, undefined, error)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** OpenSSL's reasons to distrust a certificate (X509_V_ERR_*), as Node names them, and Node's own code for a wrong name. */
export function isCertificateError(error: unknown): boolean {
  return /^(CERT_|CRL_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH|ERR_TLS_CERT_)/.test(
    codeOf(error),
  )
}
