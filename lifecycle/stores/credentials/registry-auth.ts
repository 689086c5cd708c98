import { BaleError } from '../../errors.ts'
import { decodeBasic } from './basic.ts'
import type { Credential } from './credential.ts'
import { valueFor } from './scopes.ts'

const fix = 'write {"registry.example.com":"Basic BASE64"} or {"registry.example.com":"Bearer TOKEN"}'

/**
 * Finds the value of CNB_REGISTRY_AUTH for the first matching scope: a JSON object of registries, or paths within one, and
 * Authorization headers. `X-Identity TOKEN`
 * is the form of an OAuth2 refresh token in the Go lifecycle and its platforms. Messages never show the value.
 */
export function parseRegistryAuth(text: string | undefined, scopes: readonly string[]): Credential | undefined {
  if (text === undefined || text.trim() === '') return undefined
  const headers = parseHeaders(text)
  const scope = scopes.find(one => valueFor(headers, one) !== undefined)
  return scope === undefined ? undefined : parseHeader(valueFor(headers, scope), scope)
}

function parseHeaders(text: string): Map<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BaleError('credentials', 'is not JSON', { where: 'CNB_REGISTRY_AUTH', fix })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BaleError('credentials', 'is not a JSON object', { where: 'CNB_REGISTRY_AUTH', fix })
  }
  return new Map(Object.entries(value))
}

function parseHeader(header: unknown, scope: string): Credential {
  const bad = (why: string) =>
    new BaleError('credentials', why, { where: `CNB_REGISTRY_AUTH ${JSON.stringify(scope)}`, fix })
  if (typeof header !== 'string') throw bad('is not a string')
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(header.trim()) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic': {
      const credential = decodeBasic(value)
      if (credential === undefined) throw bad('has no user:password in Base64 after Basic')
      return credential
    }
    case 'bearer':
      return { kind: 'registry-token', token: value }
    case 'x-identity':
      return { kind: 'identity-token', token: value }
    default:
      throw bad('is neither Basic nor Bearer')
  }
}
