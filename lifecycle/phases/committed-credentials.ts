import { Buffer } from 'node:buffer'
import { BaleError } from '../errors.ts'
import type { Credentials } from '../stores/credentials.ts'
import type { Credential } from '../stores/credentials/credential.ts'
import type { Destination } from '../stores/open.ts'
import type { Located } from './export-layers.ts'
import { type Form, formOf, wholeFormsOf } from './mask.ts'
import { searchTree } from './search-tree.ts'

/** Bytes. Tokens are longer, and a shorter password may match a word of the source by chance. */
const shortest = 12

/**
 * Searches the application for the credentials of the registries that it is published to: a Docker config.json or a CI script
 * may contain them. Layers are not searched: in a sandbox or with Landlock, buildpacks cannot read the credentials; a container
 * without either causes a warning. Takes a second of CPU time for each GB of the application.
 * @throws BaleError 'input' with the place
 */
export async function refuseCredentials(
  credentials: Credentials,
  destinations: readonly Pick<Destination, 'repository'>[],
  appDir: Located,
  signal?: AbortSignal,
): Promise<void> {
  const forms: Form[] = []
  for (const { repository } of destinations) {
    if (repository === undefined) continue
    // Unreadable credentials cannot be used to publish, and the registry then reports its own error.
    const found = await credentials.find(repository, signal).catch(() => undefined)
    const [id = repository] = repository.split('/')
    for (const value of found === undefined ? [] : valuesOf(found))
      forms.push(...wholeFormsOf(Buffer.from(value)).map(text => formOf(id, text)))
  }
  if (forms.length === 0) return
  const found = (registry: string, where: string) =>
    new BaleError('input', `it contains credentials of ${registry}, which the image would publish`, {
      where,
      fix: 'remove them from the source, or add the file to .dockerignore; if other people have seen them, replace them',
    })
  await searchTree(appDir, { forms, found }, signal)
}

/** The values to search for: the secret alone, and user and password as encoded in Docker's config.json. */
function valuesOf(credential: Credential): string[] {
  if (credential.kind !== 'password') return credential.token.length < shortest ? [] : [credential.token]
  const { username, password } = credential
  return password.length < shortest ? [] : [password, `${username}:${password}`]
}
