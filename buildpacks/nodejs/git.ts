import { join } from 'node:path'
import { gitSettings, netrcHosts } from '../sdk/index.ts'

/**
 * Variables that make git use https for dependencies from repositories, if the user's .netrc has credentials for their host. Package
 * managers write `git@github.com:acme/lib` for a package.json's `github:acme/lib`, and SSH would need a key.
 */
export async function gitVariables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const hosts = await netrcHosts(join(env['HOME'] ?? '/', '.netrc'))
  const settings = [...hosts].flatMap(host =>
    [`ssh://git@${host}/`, `git@${host}:`, `git://${host}/`].map(
      other => [`url.https://${host}/.insteadOf`, other] as const,
    ),
  )
  return gitSettings(settings)
}
