import { BaleError, isErrno } from '../errors.ts'
import { dockerHub } from '../image/reference.ts'
import type { Credential } from './credentials/credential.ts'
import { type DockerConfig, type Warn, findAuth, readDockerConfig } from './credentials/docker-config.ts'
import { runHelper } from './credentials/helper.ts'
import { type KnownHelper, gitlabLogin, programFor } from './credentials/known-helpers.ts'
import { parseRegistryAuth } from './credentials/registry-auth.ts'
import { scopesOf } from './credentials/scopes.ts'

export interface Credentials {
  /**
   * The credential for a repository (`index.docker.io/library/hello`) or for all of a registry (`localhost:5000`); undefined
   * for
   * anonymous access.
   * @throws BaleError 'credentials' if a configured credential cannot be read
   */
  find(name: string, signal?: AbortSignal): Promise<Credential | undefined>
}

export interface DockerCredentialsInput {
  /** CNB_REGISTRY_AUTH (platform.md, "Registry Authentication"). */
  readonly registryAuth?: string
  /** Path of Docker's config.json; it need not exist. */
  readonly dockerConfig?: string
  /** PATH, for finding credential helpers. */
  readonly path: string
  /** The user's environment. Helpers get only the variables that they are known to need. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Asked for registries that CNB_REGISTRY_AUTH and config.json have nothing for. None by default. */
  readonly knownHelpers?: readonly KnownHelper[] | undefined
  readonly warn?: Warn
  /** In milliseconds; 30 seconds by default. */
  readonly helperTimeout?: number
}

/** No credentials at all. */
export const anonymous: Credentials = { find: () => Promise.resolve(undefined) }

/**
 * The user's credentials in Docker's places: CNB_REGISTRY_AUTH first, then config.json. Of several entries the most
 * specific
 * one counts: the repository's before a parent path's, and that before the registry's. For one name,
 * `credHelpers`
 * and `credsStore` come before `auths`. Each helper runs once for each registry, and only when needed.
 */
export function dockerCredentials(input: DockerCredentialsInput): Credentials {
  let config: Promise<DockerConfig> | undefined
  const asked = new Map<string, Promise<Credential | undefined>>()

  const ask = (helper: string, scope: string, where: string, signal?: AbortSignal) => {
    const key = `${helper} ${scope}`
    const known = asked.get(key)
    if (known !== undefined) return known
    const asking = runHelper(helper, serverAddress(scope), { ...input, where, signal })
    asked.set(key, asking)
    asking.catch(() => asked.delete(key)) // the next caller may not be cancelled
    return asking
  }

  const configured = async (file: string, scopes: readonly string[], signal?: AbortSignal) => {
    config ??= readDockerConfig(file, input.warn)
    const { auths, where, helperFor } = await config
    for (const scope of scopes) {
      const helper = helperFor(scope)
      const kept = helper === undefined ? undefined : await ask(helper, scope, where, signal)
      const found = kept ?? findAuth(auths, scope, where)
      if (found !== undefined) return found
    }
    return undefined
  }

  const withoutAnswer = new Set<string>()
  /** Asks a program that the registry's host chose. If it fails, access is anonymous, as the image may be public. */
  const askKnown = async (program: string, registry: string, signal?: AbortSignal) => {
    if (withoutAnswer.has(registry)) return undefined
    try {
      return await ask(program, registry, '--credential-helpers', signal)
    } catch (error) {
      signal?.throwIfAborted()
      const isMissing = error instanceof BaleError && isErrno(error.cause, 'ENOENT')
      if (!(error instanceof BaleError) || isMissing) throw error
      withoutAnswer.add(registry)
      input.warn?.(`${error.message}, so access to ${registry} is anonymous`, error.fix)
      return undefined
    }
  }

  return {
    async find(name, signal) {
      signal?.throwIfAborted()
      const scopes = scopesOf(name)
      const given = parseRegistryAuth(input.registryAuth, scopes)
      const { dockerConfig, knownHelpers = [], environment = {} } = input
      if (given !== undefined) return given
      const found = dockerConfig === undefined ? undefined : await configured(dockerConfig, scopes, signal)
      if (found !== undefined) return found
      const registry = scopes.at(-1) as string
      const program = programFor(knownHelpers, registry)
      if (program !== undefined) return askKnown(program, registry, signal)
      return gitlabLogin(knownHelpers, registry, environment)
    },
  }
}

/** The name under which helpers keep a registry's credentials: Docker Hub's is a URL of its first API. */
function serverAddress(scope: string): string {
  return scope === dockerHub ? 'https://index.docker.io/v1/' : scope
}
