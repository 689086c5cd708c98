import { Buffer } from 'node:buffer'
import { BaleError } from '../errors.ts'
import type { Credential } from '../stores/credentials/credential.ts'
import type { FoundCredentials } from '../stores/found-credentials.ts'
import type { Destination } from '../stores/open.ts'
import type { BuildOutput } from './export.ts'
import { type Form, type Mask, formOf, wholeFormsOf } from './mask.ts'
import { type SearchedSettings, searchOutput } from './search-output.ts'

/** Bytes. Tokens are longer, and a shorter password may match a word of the source by chance. */
const shortest = 12

/** Hides the credentials of registries in messages, also those that are found later. */
export function maskCredentials(credentials: FoundCredentials, mask: Mask): void {
  credentials.each((registry, credential) => mask.learn(formsOf(registry, credential)))
}

/** The credentials for which the last build of an app has searched everything that is in the app's cache. */
export interface SearchRecord {
  /** Whether all of these are among them. */
  covers(forms: readonly Form[]): Promise<boolean>
  /** To be called before files get into the cache that were searched for these only. */
  replace(forms: readonly Form[]): Promise<void>
}

export interface CredentialSearch {
  readonly settings: SearchedSettings
  /**
   * When the build began, in milliseconds since 1970: earlier builds have searched older files in layers, if `record` covers the
   * credentials. Without it, all files in layers are searched, of any age.
   */
  readonly since?: number
  readonly record?: SearchRecord
}

/**
 * Searches everything that a build leaves for the credentials of the registries that it reads from and publishes to: a Docker
 * config.json or a CI script may contain them, and a variable of the build may be the same token.
 * @throws BaleError 'input' with the place
 */
export async function refuseCredentials(
  credentials: FoundCredentials,
  destinations: readonly Pick<Destination, 'repository'>[],
  output: BuildOutput,
  { settings, since, record }: CredentialSearch,
  signal?: AbortSignal,
): Promise<void> {
  // Unreadable credentials cannot be used to publish, and the registry then reports its own error.
  for (const { repository } of destinations)
    if (repository !== undefined) await credentials.find(repository, signal).catch(() => undefined)
  const forms: Form[] = []
  credentials.each((registry, credential) => forms.push(...formsOf(registry, credential)))
  if (forms.length > 0) {
    const found = (registry: string, where: string) =>
      new BaleError('input', `it contains credentials of ${registry}: nothing is published`, {
        where,
        fix: where.startsWith(`${output.layersDir.image}/`) ? fixInLayer : fixInSource,
      })
    const isCovered = record === undefined || (await record.covers(forms))
    const search = { forms, found, since: isCovered ? since : 0 }
    await searchOutput(output, settings, search, signal)
  }
  await record?.replace(forms)
}

const fixInSource =
  'remove them from the source and from the variables of the build, or add the file to .dockerignore; if other people have seen them, replace them'
const fixInLayer =
  'a buildpack wrote it there: give buildpacks another credential than that of the registry, or as a secret that they keep in no file (--secret)'

function formsOf(registry: string, credential: Credential): Form[] {
  return valuesOf(credential).flatMap(value => wholeFormsOf(Buffer.from(value)).map(text => formOf(registry, text)))
}

/** A password of letters only may be a word, which files contain by chance. */
const isWord = (password: string): boolean => /^[a-z]{1,19}$/i.test(password)

/** The values to search for: the secret alone, and user and password as encoded in Docker's config.json. */
function valuesOf(credential: Credential): string[] {
  if (credential.kind !== 'password') return credential.token.length < shortest ? [] : [credential.token]
  const { username, password } = credential
  if (password.length < shortest) return []
  const both = `${username}:${password}`
  return isWord(password) ? [both] : [password, both]
}
