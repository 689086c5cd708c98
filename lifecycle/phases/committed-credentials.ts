import { Buffer } from 'node:buffer'
import { BaleError } from '../errors.ts'
import type { Credential } from '../stores/credentials.ts'
import type { Located } from './export-layers.ts'
import { Mask } from './mask.ts'
import { searchTree } from './search-tree.ts'

/** Bytes. Tokens are longer; a password that is shorter may be a word of the source by chance. */
const shortest = 12

/**
 * Looks for the registry credentials of this build in the application, where a config.json of Docker or a script of CI may have
 * them. Buildpacks are out of reach of the credentials, so nothing else that a build leaves can hold them but by way of the source.
 * @param used by the registry that each is for
 * @throws BaleError 'input' with the place
 */
export async function refuseCredentials(
  used: ReadonlyMap<string, Credential>,
  appDir: Located,
  signal?: AbortSignal,
): Promise<void> {
  const values = [...used].flatMap(([registry, credential]) =>
    valuesOf(credential).map(value => ({ id: registry, value: Buffer.from(value) })),
  )
  if (values.length === 0) return
  const { forms } = new Mask(values)
  const found = (registry: string, where: string) =>
    new BaleError('input', `it holds the credentials of ${registry}, with which the image would be published`, {
      where,
      fix: 'take them out of the source, or name the file in .dockerignore; if others have seen them, replace them',
    })
  await searchTree(appDir, { forms, found }, signal)
}

/** What must not be found: the secret alone, and user and password as Docker's config.json has them. */
function valuesOf(credential: Credential): string[] {
  if (credential.kind !== 'password') return credential.token.length < shortest ? [] : [credential.token]
  const { username, password } = credential
  return password.length < shortest ? [] : [password, `${username}:${password}`]
}
