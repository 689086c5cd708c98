import { dockerHub } from '../../image/reference.ts'

/** Variables of CI jobs with credentials of a registry, from the CI system or the user. Programs do not read them by default. */
const logins: readonly {
  readonly user: string
  readonly password: string
  readonly isFor: (host: string, env: Env) => boolean
}[] = [
  // docs.gitlab.com, "Predefined CI/CD variables".
  { user: 'CI_REGISTRY_USER', password: 'CI_REGISTRY_PASSWORD', isFor: (host, env) => env['CI_REGISTRY'] === host },
  // docs.github.com, "Working with the Container registry".
  { user: 'GITHUB_ACTOR', password: 'GITHUB_TOKEN', isFor: host => host === 'ghcr.io' },
  // A password is only for the registry in the accompanying variable.
  { user: 'REGISTRY_USER', password: 'REGISTRY_PASSWORD', isFor: (host, env) => env['REGISTRY'] === host },
  { user: 'DOCKER_USERNAME', password: 'DOCKER_PASSWORD', isFor: host => host === dockerHub },
]

type Env = Readonly<Record<string, string | undefined>>

/**
 * The command that logs in to a registry with credentials from a CI job's variables.
 * @param registry the name in credentials: `index.docker.io`, `registry.example.com:5000`
 */
export function unusedLogin(registry: string, env: Env): string | undefined {
  const found = logins.find(({ user, password, isFor }) => env[user] && env[password] && isFor(registry, env))
  if (found === undefined) return undefined
  const host = registry === dockerHub ? 'docker.io' : registry
  return `printf %s "$${found.password}" | bale login ${host} --username "$${found.user}" --password-stdin`
}
