import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Variables that make git use https for dependencies from repositories, if the user's .netrc has credentials for their host. Package
 * managers write `git@github.com:acme/lib` for a package.json's `github:acme/lib`, and a build has no ssh key for that.
 */
export async function gitVariables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const file = join(env['HOME'] ?? '/', '.netrc')
  const text = await readFile(file, 'utf8').catch(() => '')
  const hosts = new Set(Array.from(text.matchAll(/(?:^|\s)machine\s+([\w.-]+)/g), ([, host = '']) => host))
  const settings = [...hosts].flatMap(host =>
    [`ssh://git@${host}/`, `git@${host}:`, `git://${host}/`].map(other => [`url.https://${host}/.insteadOf`, other]),
  )
  if (settings.length === 0) return {}
  const variables = settings.flatMap(([key = '', value = ''], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(settings.length), ...(Object.fromEntries(variables) as Record<string, string>) }
}
