import type { Credential } from './credential.ts'

/** Sources of credentials that need no entry in config.json, since the registry's host tells which one to ask. */
export const knownHelpers = ['ecr', 'google', 'acr', 'gitlab'] as const
export type KnownHelper = (typeof knownHelpers)[number]

type Variables = Readonly<Record<string, string | undefined>>

/** The programs of cloud providers: `docker-credential-<program>`. */
const programs: Readonly<Record<Exclude<KnownHelper, 'gitlab'>, { readonly program: string; readonly hosts: RegExp }>> =
  {
    ecr: {
      program: 'ecr-login',
      hosts: /^\d+\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)$|^public\.ecr\.aws$/,
    },
    google: { program: 'gcr', hosts: /^(.+\.)?gcr\.io$|\.pkg\.dev$/ },
    acr: { program: 'acr-env', hosts: /\.azurecr\.(io|cn|us|de)$/ },
  }

/** The program among these helpers for a registry, if there is one. @param registry host and port */
export function programFor(helpers: readonly KnownHelper[], registry: string): string | undefined {
  for (const name of helpers)
    if (name !== 'gitlab' && programs[name].hosts.test(registry)) return programs[name].program
  return undefined
}

/** The login of a GitLab job for its own registry (docs.gitlab.com, "Predefined CI/CD variables"). */
export function gitlabLogin(
  helpers: readonly KnownHelper[],
  registry: string,
  { CI_REGISTRY: own, CI_REGISTRY_USER: username, CI_REGISTRY_PASSWORD: password }: Variables,
): Credential | undefined {
  if (!helpers.includes('gitlab') || own !== registry || !username || !password) return undefined
  return { kind: 'password', username, password }
}
