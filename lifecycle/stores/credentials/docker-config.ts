import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { BaleError, isErrno } from '../../errors.ts'
import { isTable } from '../../spec/table.ts'
import { decodeBasic } from './basic.ts'
import type { Credential } from './credential.ts'
import { valueFor } from './scopes.ts'

export type Warn = (text: string, fix?: string) => void

/** The credentials in config.json (docs.docker.com, "docker login"). */
export interface DockerConfig {
  readonly where: string
  /** The suffix of the helper that keeps the credentials of a scope: `ecr-login`. `credsStore` is for whole registries. */
  readonly helperFor: (scope: string) => string | undefined
  readonly auths: ReadonlyMap<string, unknown>
}

/** Docker's own files have a few kilobytes. */
const maxBytes = 1024 * 1024

/** Reads config.json; a missing file counts as empty. @throws BaleError 'credentials', which quotes nothing of the file */
export async function readDockerConfig(path: string, warn?: Warn): Promise<DockerConfig> {
  const bytes = await readConfigFile(path, warn)
  const bad = (why: string) =>
    new BaleError('credentials', why, { where: path, fix: 'repair or remove the file, then run docker login' })
  let value: unknown = {}
  try {
    if (bytes.length > 0) value = JSON.parse(bytes.toString('utf8')) as unknown
  } catch {
    throw bad('is not JSON')
  }
  if (!isTable(value)) throw bad('is not a JSON object')
  const { credsStore } = value
  const entries = (key: 'auths' | 'credHelpers'): Map<string, unknown> => {
    const object = value[key] ?? {}
    if (!isTable(object)) throw bad(`${key} is not an object`)
    return new Map(Object.entries(object))
  }
  const helpers = entries('credHelpers')
  return {
    where: path,
    auths: entries('auths'),
    helperFor(scope) {
      const helper = valueFor(helpers, scope) ?? (scope.includes('/') ? undefined : credsStore)
      if (helper === undefined || helper === null || helper === '') return undefined
      if (typeof helper === 'string') return helper
      throw bad(`the helper for ${scope} is not a string`)
    },
  }
}

/** The credential in `auths` for a registry or a path within one. */
export function findAuth(auths: ReadonlyMap<string, unknown>, scope: string, where: string): Credential | undefined {
  const entry = valueFor(auths, scope)
  if (entry === undefined) return undefined
  const bad = (why: string) =>
    new BaleError('credentials', `auths ${JSON.stringify(scope)} ${why}`, {
      where,
      fix: scope.includes('/') ? 'correct or remove this entry' : `run docker login ${scope}`,
    })
  if (!isTable(entry)) throw bad('is not an object')
  const text = (key: string): string => {
    const value = entry[key] ?? ''
    if (typeof value === 'string') return value
    throw bad(`has a ${key} that is not a string`)
  }
  // Docker's own client prefers tokens to a password that is stored beside them.
  if (text('identitytoken') !== '') return { kind: 'identity-token', token: text('identitytoken') }
  if (text('registrytoken') !== '') return { kind: 'registry-token', token: text('registrytoken') }
  if (text('auth') !== '') {
    const credential = decodeBasic(text('auth'))
    if (credential === undefined) throw bad('has an auth that is not user:password in Base64')
    return credential
  }
  // Docker leaves an empty entry where a helper keeps the credentials.
  if (text('username') === '') return undefined
  return { kind: 'password', username: text('username'), password: text('password') }
}

async function readConfigFile(path: string, warn?: Warn): Promise<Buffer> {
  try {
    // Links are followed, since Kubernetes mounts secrets as links. O_NONBLOCK keeps a fifo from blocking the open (K11).
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat()
    if (!stat.isFile()) throw new BaleError('credentials', 'is not a regular file', { where: path })
    const bytes = await readUpTo(file, maxBytes + 1)
    if (bytes.length > maxBytes) {
      throw new BaleError('credentials', `is longer than ${maxBytes} bytes`, { where: path })
    }
    const holdsSecrets = /"(?:auth|password|identitytoken|registrytoken)"/.test(bytes.toString('latin1'))
    if ((stat.mode & 0o004) !== 0 && holdsSecrets) {
      warn?.(`every user of this machine can read the passwords in ${path}`, `chmod 600 ${path}`)
    }
    return bytes
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return Buffer.alloc(0)
    if (!isErrno(cause)) throw cause
    throw new BaleError('credentials', `cannot be read: ${cause.code}`, {
      where: path,
      fix: 'make it readable for this user, or set DOCKER_CONFIG to another directory',
      cause,
    })
  }
}

/** Reads at most `most` bytes, since the file may grow. */
async function readUpTo(file: FileHandle, most: number): Promise<Buffer> {
  const buffer = Buffer.alloc(most)
  let length = 0
  for (let more = 1; more > 0 && length < most; length += more) {
    more = (await file.read(buffer, length, most - length)).bytesRead
  }
  return buffer.subarray(0, length)
}
