import { type Reference, parseReference } from '../../image/reference.ts'
import type { Credential } from '../../stores/credentials/credential.ts'
import type { Stores } from '../../stores/open.ts'
import type { BuildOptions } from '../build-options.ts'
import { imagesIn } from './cluster-build.ts'

/** CNB_REGISTRY_AUTH with this user's credentials for the repositories of this build only. */
export async function registryAuth(
  options: BuildOptions,
  stores: Stores,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { runImage, previousImage, cacheImage } = options
  const names = [...imagesIn(options), runImage, previousImage, cacheImage].filter(name => name !== undefined)
  const headers: Record<string, string> = {}
  for (const name of names) {
    const { registry, repository }: Reference = parseReference(name.replace(/^docker:\/\//, ''))
    const scope = `${registry}/${repository}`
    const found = await stores.credentials.find(scope, signal)
    if (found !== undefined) headers[scope] = headerOf(found)
  }
  return Object.keys(headers).length === 0 ? undefined : JSON.stringify(headers)
}

function headerOf(credential: Credential): string {
  switch (credential.kind) {
    case 'password':
      return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`
    case 'registry-token':
      return `Bearer ${credential.token}`
    case 'identity-token':
      return `X-Identity ${credential.token}`
  }
}
