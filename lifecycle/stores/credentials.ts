import { dockerHub } from '../image/reference.ts'
import { type DockerConfig, type Warn, findAuth, readDockerConfig } from './credentials/docker-config.ts'
import { runHelper } from './credentials/helper.ts'
import { parseRegistryAuth } from './credentials/registry-auth.ts'

/** What proves to a registry who we are. Never printed. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, which the registry's token server takes. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token, which the registry itself takes. */
  | { readonly kind: 'registry-token'; readonly token: string }

export interface Credentials {
  /**
   * What there is for a registry (`index.docker.io`, `localhost:5000`); undefined: go there as nobody.
   * @throws BaleError 'credentials' where there should be some and they cannot be had
   */
  forRegistry(registry: string, signal?: AbortSignal): Promise<Credential | undefined>
}

export interface DockerCredentialsInput {
  /** CNB_REGISTRY_AUTH (platform.md, "Registry Authentication"). */
  readonly registryAuth?: string
  /** Path of Docker's config.json; it need not exist. */
  readonly dockerConfig?: string
  /** PATH, in which credential helpers are looked for. */
  readonly path: string
  /** What else helpers may need of the user's environment; they get what looks like their own only. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly warn?: Warn
  /** In milliseconds; 30 seconds unless told. */
  readonly helperTimeout?: number
}

/** No credentials at all. */
export const anonymous: Credentials = { forRegistry: () => Promise.resolve(undefined) }

/**
 * The user's credentials where Docker keeps them: CNB_REGISTRY_AUTH first, then config.json's `credHelpers`, `credsStore`
 * and `auths`. Each registry is looked up once, and only when it is asked for.
 */
export function dockerCredentials(input: DockerCredentialsInput): Credentials {
  let config: Promise<DockerConfig> | undefined
  const found = new Map<string, Promise<Credential | undefined>>()

  async function find(registry: string, signal?: AbortSignal): Promise<Credential | undefined> {
    const given = parseRegistryAuth(input.registryAuth, registry)
    if (given !== undefined || input.dockerConfig === undefined) return given
    config ??= readDockerConfig(input.dockerConfig, input.warn)
    const { auths, where, ...helpers } = await config
    const helper = helpers.helperFor(registry)
    if (helper !== undefined) {
      const kept = await runHelper(helper, serverAddress(registry), { ...input, where, signal })
      if (kept !== undefined) return kept
    }
    return findAuth(auths, registry, where)
  }

  return {
    async forRegistry(registry, signal) {
      signal?.throwIfAborted()
      const known = found.get(registry)
      if (known !== undefined) return known
      const search = find(registry, signal)
      found.set(registry, search)
      search.catch(() => found.delete(registry)) // whoever asks next may not be cancelled
      return search
    },
  }
}

/** The name under which helpers keep a registry's credentials: Docker Hub's is a URL of its first API. */
function serverAddress(registry: string): string {
  return registry === dockerHub ? 'https://index.docker.io/v1/' : registry
}
