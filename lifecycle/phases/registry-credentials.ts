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

/**
 * Searches everything that a build leaves for the credentials of the registries that it reads from and publishes to: a Docker
 * config.json or a CI script may contain them, and a variable of the build may be the same token. Takes two to three seconds of CPU
 * time for each GB.
 * @param since when the build began, in milliseconds since 1970: older files in layers were searched by the build that made them. Without it, files
 * in layers are not searched
 * @throws BaleError 'input' with the place
 */
export async function refuseCredentials(
  credentials: FoundCredentials,
  destinations: readonly Pick<Destination, 'repository'>[],
  output: BuildOutput,
  { settings, since }: { readonly settings: SearchedSettings; readonly since?: number },
  signal?: AbortSignal,
): Promise<void> {
  // Unreadable credentials cannot be used to publish, and the registry then reports its own error.
  for (const { repository } of destinations)
    if (repository !== undefined) await credentials.find(repository, signal).catch(() => undefined)
  const forms: Form[] = []
  credentials.each((registry, credential) => forms.push(...formsOf(registry, credential)))
  if (forms.length === 0) return
  const found = (registry: string, where: string) =>
    new BaleError('input', `it contains credentials of ${registry}: nothing is published`, {
      where,
      fix: 'remove them from the source and from the variables of the build, or add the file to .dockerignore; if other people have seen them, replace them',
    })
  await searchOutput(output, settings, { forms, found, since, skipsLayers: since === undefined }, signal)
}

function formsOf(registry: string, credential: Credential): Form[] {
  return valuesOf(credential).flatMap(value => wholeFormsOf(Buffer.from(value)).map(text => formOf(registry, text)))
}

/** The values to search for: the secret alone, and user and password as encoded in Docker's config.json. */
function valuesOf(credential: Credential): string[] {
  if (credential.kind !== 'password') return credential.token.length < shortest ? [] : [credential.token]
  const { username, password } = credential
  return password.length < shortest ? [] : [password, `${username}:${password}`]
}
